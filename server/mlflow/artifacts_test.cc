#include "server/mlflow/api_fixture.h"

namespace lctl::mlflow {
namespace {

class ArtifactsApiTest : public ApiTest {};

TEST_F(ArtifactsApiTest, FileGoesUpAndComesDown) {
  const std::string id = start_run("r");
  const std::string root = "0/" + id + "/artifacts";
  EXPECT_EQ(upload(root + "/model/MLmodel", "content"), json::object());
  EXPECT_EQ(upload(root + "/empty", ""), json::object());
  EXPECT_EQ(download(root + "/model/MLmodel"), "content");
  EXPECT_EQ(download(root + "/empty"), "");
  EXPECT_EQ(download(root + "/a%20b%2Fc").find("RESOURCE_DOES_NOT_EXIST") != std::string::npos,
            true);
}

TEST_F(ArtifactsApiTest, FoldersAreListedByRunAndByPath) {
  const std::string id = start_run("r");
  upload("0/" + id + "/artifacts/model/a", "12");
  upload("0/" + id + "/artifacts/b", "1");
  const json root = get("artifacts/list?run_id=" + id);
  EXPECT_EQ(root.at("root_uri"), "mlflow-artifacts:/0/" + id + "/artifacts");
  ASSERT_EQ(root.at("files").size(), 2u);
  EXPECT_EQ(root.at("files")[1], json({{"path", "model"}, {"is_dir", true}}));
  const json folder = get("artifacts/list?path=model&run_id=" + id);
  EXPECT_EQ(folder.at("files")[0],
            json({{"path", "model/a"}, {"is_dir", false}, {"file_size", 2}}));
  const json by_path =
      read(ask("GET", "/api/2.0/mlflow-artifacts/artifacts?path=0/" + id + "/artifacts/model", ""));
  EXPECT_EQ(by_path.at("files")[0].at("path"), "a");
}

TEST_F(ArtifactsApiTest, OnlyOwnersFoldersTakeFiles) {
  const std::string id = start_run("r");
  const std::vector<std::string> paths = {"x",
                                          "0/none/artifacts/a",
                                          "5/" + id + "/artifacts/a",
                                          "0/" + id + "/other/a",
                                          "0/" + id + "/artifacts",
                                          "0/models/m-none/artifacts/a",
                                          "0/" + id + "/artifacts/..%2F..%2Fa",
                                          "0/" + id + "/artifacts/a%5Cb"};
  for (const std::string& path : paths) {
    EXPECT_TRUE(upload(path, "x").contains("error_code")) << path;
  }
}

TEST_F(ArtifactsApiTest, FilesAreRemoved) {
  const std::string id = start_run("r");
  upload("0/" + id + "/artifacts/model/a", "1");
  EXPECT_EQ(
      read(ask("DELETE", "/api/2.0/mlflow-artifacts/artifacts/0/" + id + "/artifacts/model", "")),
      json::object());
  EXPECT_TRUE(get("artifacts/list?run_id=" + id).at("files").empty());
}

TEST_F(ArtifactsApiTest, CheckpointsOfAJobAreItsFiles) {
  const JobId id = add_job(store());
  storage::start_attempt(store(), id, 1);
  ASSERT_TRUE(
      storage::upload(
          store(),
          {.attempt = {id, 1}, .step = 1, .name = "epoch=0.ckpt", .content = "checkpoint bytes"})
          .ok());
  const std::int64_t experiment = store().tracking().place(id)->experiment;
  const std::string root = std::to_string(experiment) + "/" + id.str() + "/artifacts";
  const json files = get("artifacts/list?path=checkpoints&run_id=" + id.str()).at("files");
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].at("path"), "checkpoints/epoch=0.ckpt");
  EXPECT_EQ(download(root + "/checkpoints/epoch=0.ckpt"), "checkpoint bytes");
  EXPECT_THAT(download(root + "/epoch=0.ckpt"), testing::HasSubstr("lie below checkpoints/"));
  EXPECT_EQ(upload(root + "/a", "x").at("error_code"), "INVALID_STATE");
}

TEST_F(ArtifactsApiTest, PartsAndPresignedLinksAreNotForHere) {
  const json parts = read(ask("POST", "/api/2.0/mlflow-artifacts/mpu/create/0/x", "{}"));
  EXPECT_EQ(parts.at("status"), 501);
  // The client falls back to a whole upload by the beginning of this message.
  EXPECT_EQ(std::string(parts.at("message"))
                .find("Multipart upload is not supported for the current artifact repository"),
            0u);
  EXPECT_EQ(read(ask("GET", "/api/2.0/mlflow-artifacts/presigned/0/x", "")).at("error_code"),
            "NOT_IMPLEMENTED");
}

}  // namespace
}  // namespace lctl::mlflow
