#include "server/mlflow/artifacts.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "server/mlflow/reply.h"
#include "server/mlflow/run_json.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_store.h"
#include "storage/jobs/texts.h"
#include "storage/tracking/model_store.h"

namespace lctl::mlflow {
namespace {

using nlohmann::json;
using storage::Artifact;

constexpr std::string_view kCheckpoints = "checkpoints";
constexpr std::int64_t kPieceBytes = 4 << 20;  // as chunks: each is then checked once

class ArtifactUpload final : public http::Upload {
 public:
  explicit ArtifactUpload(std::unique_ptr<storage::ArtifactWriter> writer)
      : writer_(std::move(writer)) {}

  std::optional<http::Response> take(std::string_view piece) override {
    const absl::Status status = writer_->append(piece);
    if (status.ok()) return std::nullopt;
    return refusal(status);
  }

  http::Response finish() override {
    const absl::Status status = writer_->commit();
    return status.ok() ? answer(json::object()) : refusal(status);
  }

 private:
  const std::unique_ptr<storage::ArtifactWriter> writer_;
};

// A file of `size` bytes of which `read(offset)` gives the next.
template <typename Read>
http::Response file(std::int64_t size, Read read) {
  http::Response response{.content_type = "application/octet-stream"};
  response.stream =
      http::BodyStream{.size = static_cast<std::uint64_t>(size),
                       .next = [read = std::move(read),
                                offset = std::int64_t{0}]() mutable -> absl::StatusOr<std::string> {
                         LCTL_ASSIGN_OR_RETURN(std::string piece, read(offset));
                         offset += static_cast<std::int64_t>(piece.size());
                         return piece;
                       }};
  return response;
}

// Takes the part before the first slash off the front.
std::string_view take_part(std::string_view& path) {
  const std::size_t slash = std::min(path.find('/'), path.size());
  const std::string_view part = path.substr(0, slash);
  path.remove_prefix(std::min(slash + 1, path.size()));
  return part;
}

// Of files with their names below a folder: those in it, and its folders, once each.
std::vector<Artifact> in_folder(const std::vector<storage::CheckpointRow>& files,
                                std::string_view folder) {
  std::vector<Artifact> entries;
  std::set<std::string> folders;
  for (const storage::CheckpointRow& row : files) {
    std::string_view name = row.written.name();
    if (!folder.empty()) {
      if (!name.starts_with(folder) || name.substr(folder.size(), 1) != "/") continue;
      name.remove_prefix(folder.size() + 1);
    }
    const std::string prefix = folder.empty() ? fmt::format("{}/", kCheckpoints)
                                              : fmt::format("{}/{}/", kCheckpoints, folder);
    std::string_view rest = name;
    const std::string own = prefix + std::string(take_part(rest));
    if (rest.empty()) {
      entries.push_back({.path = own, .size = row.written.size()});
    } else if (folders.insert(own).second) {
      entries.push_back({.path = own, .folder = true});
    }
  }
  return entries;
}

}  // namespace

// What a path speaks of.
struct Artifacts::Place {
  std::string path;  // the whole
  std::string rest;  // below the owner's folder; "" = that folder
  JobId job;         // a submitted job's; "" = it lies in the artifact store
};

absl::StatusOr<Artifacts::Place> Artifacts::place_of(const std::string& path) const {
  LCTL_RETURN_IF_ERROR(storage::check_artifact_path(path));
  std::string_view left = path;
  LCTL_ASSIGN_OR_RETURN(const std::int64_t experiment, experiment_id_of(take_part(left)));
  std::string owner(take_part(left));
  const bool of_model = owner == "models";
  if (of_model) owner = std::string(take_part(left));
  const std::string_view folder = take_part(left);
  if (owner.empty() || folder != "artifacts") {
    return absl::InvalidArgumentError(
        fmt::format("'{}' is no place for artifacts: expected a path below the artifact_uri of a "
                    "run or of a logged model",
                    storage::shown(path)));
  }
  Place place{.path = path, .rest = std::string(left), .job = {}};
  if (of_model) {
    LCTL_ASSIGN_OR_RETURN(const storage::LoggedModel model, store_.models().logged(owner));
    if (model.experiment == experiment) return place;
  } else {
    LCTL_ASSIGN_OR_RETURN(const storage::RunPlace run, store_.tracking().place(JobId(owner)));
    if (run.origin == storage::Origin::kSubmitted) place.job = JobId(owner);
    if (run.experiment == experiment) return place;
  }
  return absl::NotFoundError(
      fmt::format("'{}' belongs to another experiment than {}", storage::shown(owner), experiment));
}

absl::StatusOr<Artifacts::Place> Artifacts::writable_place_of(const std::string& path) const {
  LCTL_ASSIGN_OR_RETURN(Place place, place_of(path));
  if (!place.job.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("run {} is a job submitted to lctl: its files come from its own ranks alone",
                    place.job.str()));
  }
  return place;
}

absl::StatusOr<std::vector<Artifact>> Artifacts::entries(const Place& place) const {
  if (place.job.empty()) return store_.artifacts().list(place.path);
  LCTL_ASSIGN_OR_RETURN(const auto checkpoints, store_.checkpoints().list(place.job));
  std::vector<Artifact> found;
  std::string_view rest = place.rest;
  if (rest.empty()) {
    if (!checkpoints.empty()) found.push_back({.path = std::string(kCheckpoints), .folder = true});
  } else if (take_part(rest) == kCheckpoints) {
    found = in_folder(checkpoints, rest);
  }
  // As those of the artifact store: whole paths.
  const std::string owner =
      place.path.substr(0, place.path.size() - place.rest.size() - (place.rest.empty() ? 0 : 1));
  for (Artifact& entry : found) entry.path = fmt::format("{}/{}", owner, entry.path);
  return found;
}

absl::StatusOr<json> Artifacts::page(const std::string& root, const std::string& path) const {
  LCTL_ASSIGN_OR_RETURN(const Place place, place_of(path.empty() ? root : root + "/" + path));
  LCTL_ASSIGN_OR_RETURN(const auto found, entries(place));
  json files = json::array();
  for (const Artifact& entry : found) {
    json file = {{"path", entry.path.substr(root.size() + 1)}, {"is_dir", entry.folder}};
    if (!entry.folder) file["file_size"] = entry.size;
    files.push_back(std::move(file));
  }
  return json{{"root_uri", fmt::format("{}{}", kArtifactScheme, root)},
              {"files", std::move(files)}};
}

absl::StatusOr<json> Artifacts::list_of_run(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(std::string id, request.text("run_id", "run_uuid"));
  LCTL_ASSIGN_OR_RETURN(const std::string path, request.text_or_empty("path"));
  LCTL_ASSIGN_OR_RETURN(const storage::RunPlace run, store_.tracking().place(JobId(id)));
  return page(fmt::format("{}/{}/artifacts", run.experiment, id), path);
}

absl::StatusOr<json> Artifacts::list_of_model(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string id, request.text("model_id"));
  LCTL_ASSIGN_OR_RETURN(const std::string path, request.text_or_empty("artifact_directory_path"));
  LCTL_ASSIGN_OR_RETURN(const storage::LoggedModel model, store_.models().logged(id));
  return page(fmt::format("{}/models/{}/artifacts", model.experiment, id), path);
}

absl::StatusOr<json> Artifacts::list(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string path, request.text("path"));
  LCTL_ASSIGN_OR_RETURN(json found, page(path, ""));
  found.erase("root_uri");
  return found;
}

http::Response Artifacts::checkpoint(const JobId& job, std::string_view name) const {
  const auto checkpoints = store_.checkpoints().list(job);
  if (!checkpoints.ok()) return refusal(checkpoints.status());
  // Of those of one name the newest.
  for (auto row = checkpoints->rbegin(); row != checkpoints->rend(); ++row) {
    if (row->written.name() != name) continue;
    return file(row->written.size(), [&store = store_, id = row->id](std::int64_t offset) {
      return store.checkpoints().read(id, offset, kPieceBytes);
    });
  }
  return refusal(absl::NotFoundError(
      fmt::format("job {} keeps no checkpoint '{}'", job.str(), storage::shown(name))));
}

http::Response Artifacts::download(const http::Request& request) {
  const auto place = place_of(request.parameters.at("path"));
  if (!place.ok()) return refusal(place.status());
  if (!place->job.empty()) {
    std::string_view name = place->rest;
    if (take_part(name) == kCheckpoints) return checkpoint(place->job, name);
    return refusal(absl::NotFoundError(
        fmt::format("job {} has no file '{}'; its checkpoints lie below {}/", place->job.str(),
                    storage::shown(place->rest), kCheckpoints)));
  }
  const auto found = store_.artifacts().find(place->path);
  if (!found.ok()) return refusal(found.status());
  return file(found->size, [&store = store_, number = found->number](std::int64_t offset) {
    return store.artifacts().read(number, offset, kPieceBytes);
  });
}

std::variant<std::unique_ptr<http::Upload>, http::Response> Artifacts::upload(
    const http::Request& request) {
  const auto place = writable_place_of(request.parameters.at("path"));
  if (!place.ok()) return refusal(place.status());
  if (place->rest.empty()) {
    return refusal(absl::InvalidArgumentError("a file needs a name below its run's artifact_uri"));
  }
  auto writer = store_.artifacts().write(place->path);
  if (!writer.ok()) return refusal(writer.status());
  return std::make_unique<ArtifactUpload>(*std::move(writer));
}

absl::StatusOr<json> Artifacts::remove(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string path, request.text("path"));
  LCTL_ASSIGN_OR_RETURN(const Place place, writable_place_of(path));
  LCTL_RETURN_IF_ERROR(store_.artifacts().remove(place.path));
  return json::object();
}

}  // namespace lctl::mlflow
