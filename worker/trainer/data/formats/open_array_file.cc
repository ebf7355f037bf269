#include "worker/trainer/data/formats/open_array_file.h"

#include <fmt/format.h>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/idx.h"
#include "worker/trainer/data/formats/inflate.h"
#include "worker/trainer/data/formats/npy.h"
#include "worker/trainer/data/formats/npz.h"
#include "worker/trainer/data/formats/safetensors.h"
#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl {
namespace {

// A file that is one array.
class OneArray final : public ArrayFile {
 public:
  OneArray(std::string path, at::Tensor array) : path_(std::move(path)), array_(std::move(array)) {}
  std::vector<std::string> names() const override { return {""}; }
  at::Tensor get(std::string_view name) const override {
    if (!name.empty()) {
      throw BadSample(fmt::format(
          "{}: there is no array `{}`: the file holds one array without a name; leave the name out",
          path_, name));
    }
    return array_;
  }

 private:
  std::string path_;
  at::Tensor array_;
};

}  // namespace

std::shared_ptr<const ArrayFile> open_array_file(const std::string& path) {
  SharedBytes file = SharedBytes::map(path);
  if (path.ends_with(".npz")) return std::make_shared<NpzFile>(std::move(file));
  if (path.ends_with(".safetensors")) return std::make_shared<SafetensorsFile>(std::move(file));
  if (path.ends_with(".npy")) return std::make_shared<OneArray>(path, read_npy(file));
  if (is_idx(file.view()) || is_gzip(file.view()))
    return std::make_shared<OneArray>(path, read_idx(file));
  throw BadSample(
      fmt::format("{}: is no file of arrays: .npy, .npz and .safetensors are known by their names, "
                  "and IDX files "
                  "(MNIST's, plain or .gz) by their first bytes",
                  path));
}

at::Tensor load_array(const std::string& path, std::string_view name) {
  const std::shared_ptr<const ArrayFile> file = open_array_file(path);
  if (!name.empty()) return file->get(name);
  const std::vector<std::string> names = file->names();
  if (names.size() == 1) return file->get(names.front());
  // Which one is meant must be said: the error lists them.
  throw_no_such_array(path, name, names);
}

}  // namespace lctl
