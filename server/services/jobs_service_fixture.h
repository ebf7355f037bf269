// The jobs service over real gRPC, with the real engine and store, and a simulated node of two
// slots.
#pragma once

#include <memory>
#include <string>

#include "server/jobs/testing/fake_cluster.h"
#include "server/services/jobs_service.h"
#include "server/services/service_fixture.h"

namespace lctl::services {

class JobsServiceTest : public ServiceTest {
 protected:
  JobsServiceTest() : strand_(clock_) {
    node_ = cluster_.add_node("a", 2);
    engine_ = *jobs::JobsEngine::open(
        {.clock = clock_, .store = store(), .launcher = cluster_, .feed = feed_});
    cluster_.attach(engine_.get());
    strand_.start({[this] { engine_->settle(); }, [this] { return engine_->next_deadline(); }});
    service_ = std::make_unique<JobsService>(
        WatchSources{strand_, *engine_, feed_, store()},
        [](const v1::JobSpec& sent) -> absl::StatusOr<v1::JobSpec> {
          if (sent.name().empty())
            return absl::InvalidArgumentError("job.yaml:1: job.name: missing");
          return sent;
        });
    serve({service_.get()});
    stub_ = v1::Jobs::NewStub(channel_);
  }
  void TearDown() override {
    service_->shutdown();
    stop_serving();
    strand_.stop();
  }

  void connect() {
    strand_.call([&] { cluster_.connect(node_); });
  }
  void deliver() {
    settled();
    strand_.call([&] { cluster_.deliver_all(); });
    settled();
  }
  // Waits until the engine has carried out what it was told.
  void settled() {
    strand_.call([] {});
    strand_.call([] {});
  }

  static v1::SubmitRequest request(const std::string& name, const std::string& key) {
    v1::SubmitRequest request;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_experiment("default");
    request.mutable_spec()->set_grace_ms(30'000);
    request.mutable_spec()->mutable_resources()->set_nodes(1);
    request.mutable_spec()->mutable_resources()->set_devices_per_node(2);
    request.set_submitted_by("me@here");
    request.set_idempotency_key(key);
    return request;
  }
  v1::Job submit(const std::string& name, const std::string& key) {
    clock_.advance(Duration(1));  // the order of submission is a matter of time
    grpc::ClientContext context;
    v1::SubmitResponse response;
    const grpc::Status status = stub_->Submit(&context, request(name, key), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job();
  }
  v1::JobDetails get(const std::string& reference) {
    grpc::ClientContext context;
    v1::GetJobRequest get;
    get.set_job(reference);
    v1::JobDetails details;
    const grpc::Status status = stub_->Get(&context, get, &details);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return details;
  }

  jobs::FakeCluster cluster_;
  jobs::JobFeed feed_;
  std::unique_ptr<jobs::JobsEngine> engine_;
  jobs::Strand strand_;
  std::unique_ptr<JobsService> service_;
  std::unique_ptr<v1::Jobs::Stub> stub_;
  NodeId node_;
};

}  // namespace lctl::services
