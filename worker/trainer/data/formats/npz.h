// NumPy's .npz files: a ZIP archive of .npy files.
#pragma once

#include <unordered_map>

#include "worker/trainer/data/formats/array_file.h"
#include "worker/trainer/data/formats/shared_bytes.h"
#include "worker/trainer/data/formats/zip_archive.h"

namespace lctl {

// A member `x.npy` is the array `x`; other members are no arrays. Stored members (numpy.savez) are
// mapped, and copied by get() where NumPy has put numbers at addresses that they cannot have;
// deflated ones (numpy.savez_compressed) are inflated by each get(). Thread rule: as ArrayFile.
class NpzFile final : public ArrayFile {
 public:
  explicit NpzFile(SharedBytes file);
  std::vector<std::string> names() const override;
  at::Tensor get(std::string_view name) const override;

 private:
  ZipArchive archive_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::size_t> members_;  // name -> place in the archive
};

}  // namespace lctl
