#include "worker/trainer/loggers/wandb/artifact.h"

#include <fmt/format.h>

#include <system_error>

#include "base/id.h"
#include "worker/trainer/loggers/wandb/digest.h"

namespace lctl::wandb {
namespace {

namespace fs = std::filesystem;

constexpr int kClientIdLength = 128;

}  // namespace

StagedFile file_in_place(const fs::path& file) {
  StagedFile staged;
  staged.path = fs::absolute(file);
  staged.size = static_cast<std::int64_t>(fs::file_size(file));
  staged.md5 = digest_of_file("MD5", file);
  return staged;
}

StagedFile copied_file(const fs::path& file, const fs::path& copy) {
  fs::create_directories(copy.parent_path());
  std::error_code error;
  fs::create_hard_link(file, copy, error);
  if (error) fs::copy_file(file, copy);
  return file_in_place(copy);
}

records::Artifact artifact_of(const StagedFile& file, const std::string& name_in_artifact) {
  records::Artifact artifact;
  records::Manifest& manifest = *artifact.mutable_manifest();
  manifest.set_version(1);
  manifest.set_storage_policy("wandb-storage-policy-v1");
  records::StoragePolicyConfig& policy = *manifest.add_storage_policy_config();
  policy.set_key("storageLayout");
  policy.set_value_json("\"V2\"");
  records::ManifestEntry& entry = *manifest.add_contents();
  entry.set_path(name_in_artifact);
  entry.set_digest(base64(file.md5));
  entry.set_size(file.size);
  entry.set_local_path(file.path.string());
  artifact.set_digest(hex(digest_of(
      "MD5", fmt::format("wandb-artifact-manifest-v1\n{}:{}\n", entry.path(), entry.digest()))));
  artifact.set_digest_algorithm("MANIFEST_MD5");
  artifact.set_finalize(true);
  artifact.set_client_id(random_id(kClientIdLength));
  artifact.set_sequence_client_id(random_id(kClientIdLength));
  return artifact;
}

}  // namespace lctl::wandb
