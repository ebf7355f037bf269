// Classifier and Regressor: models that a job file describes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/core/lightning_module.h"
#include "worker/trainer/models/factory.h"
#include "worker/trainer/models/loss.h"
#include "worker/trainer/models/net.h"

namespace lctl {

// A batch is (x, y). A step computes out = net(x), or net(backbone(x)) with a `backbone`, loss(out,
// y), then each metric of the detached output, and logs `<prefix>/loss` and `<prefix>/<metric>` in
// that order; prefix: train, val, test. Training logs with self.log's defaults, validation and test
// with sync_dist too, both under the job file's `log` flags. predict_step returns the output. With
// a backbone the optimizer gets the parameters that need a gradient when training starts, for
// BackboneFinetuning. Thread rule: one strand only (the training thread).
class DeclarativeModule final : public LightningModule {
 public:
  // Builds the layers in order, those of the backbone first, each drawing its initial values.
  // Throws std::invalid_argument that names the key.
  DeclarativeModule(const jobspec::ClassSpec& spec, OptimizerFactory optimizers);

  at::Tensor forward(const at::Tensor& x) override {
    return net_->forward(backbone_ ? backbone_->forward(x) : x);
  }

  StepOutput training_step(const Batch& batch, std::int64_t batch_idx) override;
  StepOutput validation_step(const Batch& batch, std::int64_t batch_idx,
                             std::int64_t dataloader_idx) override;
  StepOutput test_step(const Batch& batch, std::int64_t batch_idx,
                       std::int64_t dataloader_idx) override;
  Batch predict_step(const Batch& batch, std::int64_t batch_idx,
                     std::int64_t dataloader_idx) override;
  OptimizersConfig configure_optimizers() override;

 private:
  // A value that steps log: prepared once, so that a step builds no text.
  struct Logged {
    std::string name;
    LogOptions options;
  };

  std::vector<Logged> logged(const jobspec::ClassSpec& spec, const std::string& prefix,
                             bool sync_dist) const;
  at::Tensor step(const Batch& batch, const std::vector<Logged>& values);

  std::shared_ptr<Net> backbone_;  // null without
  std::shared_ptr<Net> net_;
  LossFunction loss_;
  std::vector<std::string> metric_names_;
  std::vector<MetricFunction> metrics_;
  std::vector<Logged> train_values_;  // loss, then metrics_
  std::vector<Logged> val_values_;
  std::vector<Logged> test_values_;
  OptimizerFactory optimizers_;
};

}  // namespace lctl
