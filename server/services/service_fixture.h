// A gRPC server on a loopback port with a store of its own, for tests of services.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "storage/testing/store_fixture.h"

namespace lctl::services {

class ServiceTest : public storage::StoreTest {
 protected:
  // Starts a server that carries these; call once. Its messages are limited as the coordinator's.
  void serve(const std::vector<grpc::Service*>& services) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(16 << 20);
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    LCTL_CHECK(server_ != nullptr && port != 0, "tests can listen on a loopback port");
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                   grpc::InsecureChannelCredentials());
  }

  // In its TearDown() a test ends what its services still do.
  void stop_serving() {
    if (server_ != nullptr) server_->Shutdown();
    server_.reset();
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace lctl::services
