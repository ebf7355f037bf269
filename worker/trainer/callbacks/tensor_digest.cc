#include "worker/trainer/callbacks/tensor_digest.h"

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>

namespace lctl {
namespace {

// Thread rule: one strand only.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
      throw std::runtime_error("SHA-256 is not available");
  }

  void add(const void* data, std::size_t size) { EVP_DigestUpdate(context_.get(), data, size); }

  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      text += kDigits[digest[i] >> 4];
      text += kDigits[digest[i] & 15];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

void add_bytes(Sha256& digest, const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().cpu().contiguous();
  if (host.numel() > 0) digest.add(host.const_data_ptr(), host.nbytes());
}

}  // namespace

std::string tensor_sha256(const at::Tensor& tensor) {
  Sha256 digest;
  add_bytes(digest, tensor);
  return digest.hex();
}

std::string state_sha256(const std::vector<NamedTensor>& tensors) {
  Sha256 digest;
  for (const NamedTensor& item : tensors) {
    digest.add(item.name.c_str(), item.name.size() + 1);
    add_bytes(digest, item.tensor);
  }
  return digest.hex();
}

std::string dtype_name(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    case at::kLong:
      return "int64";
    case at::kInt:
      return "int32";
    case at::kShort:
      return "int16";
    case at::kChar:
      return "int8";
    case at::kByte:
      return "uint8";
    case at::kBool:
      return "bool";
    default:
      return c10::toString(type);
  }
}

}  // namespace lctl
