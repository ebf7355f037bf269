#include "worker/trainer/data/archives/archive.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>

#include "jobspec/input_source.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/read_only_file.h"
#include "worker/trainer/data/webdataset/tar_reader.h"

namespace lctl::archives {

ArchiveForm archive_form(const std::string& path, const std::string& name) {
  std::array<char, 6> bytes = {};
  const auto file = webdataset::ReadOnlyFile::open(path);
  const std::string_view start(bytes.data(),
                               file->read_at(0, std::as_writable_bytes(std::span(bytes))));
  // A member's header, or at once the end of a directory without members.
  if (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06")) return ArchiveForm::kZip;
  const std::string_view program = webdataset::compressed_with(start);
  if (program == "gzip") return ArchiveForm::kGzip;
  if (program.empty()) return ArchiveForm::kTar;
  throw BadSample(fmt::format("{}: is compressed with {}; {} is unpacked", name, program,
                              jobspec::kArchiveEndings));
}

}  // namespace lctl::archives
