// Writes one of everything that TensorBoardLogger knows below a folder: what
// tests/clients/tensorboard_reference.py writes with torch.utils.tensorboard, in the same order.
#include <ATen/ATen.h>

#include <array>
#include <cstdio>
#include <exception>
#include <limits>
#include <utility>
#include <vector>

#include "worker/trainer/loggers/tensorboard_graph.h"
#include "worker/trainer/loggers/tensorboard_logger.h"

namespace {

using lctl::checkpoint::Dict;
using lctl::checkpoint::List;
using lctl::checkpoint::Value;

Dict sample_hparams() {
  Dict layer;
  layer.set("units", 12);
  Dict hparams;
  hparams.set("lr", 1e-5);
  hparams.set("epochs", 3);
  hparams.set("nesterov", true);
  hparams.set("optimizer", "sgd");
  hparams.set("scheduler", Value());
  hparams.set("betas", List{0.9, 0.999});
  hparams.set("layers", List{layer, layer});
  return hparams;
}

struct Residual : torch::nn::Module {
  Residual() : Module("Residual") {}
};

void write_sample(const char* folder) {
  lctl::TensorBoardLogger::Options options;
  options.save_dir = folder;
  lctl::TensorBoardLogger logger(std::move(options));
  logger.start();
  logger.log_hyperparams(sample_hparams());
  logger.save();
  for (std::int64_t step = 0; step < 100; ++step) {
    const std::vector<lctl::LoggedMetric> metrics = {
        {"train/loss", 1.0 / static_cast<double>(step + 1)}, {"epoch", step / 40}};
    logger.log_metrics(metrics, step);
    logger.save();
  }
  lctl::SummaryWriter& writer = logger.experiment();
  const double infinity = std::numeric_limits<double>::infinity();
  writer.add_scalar("limits", infinity, 0);
  writer.add_scalar("limits", -infinity, 1);
  writer.add_scalar("limits", std::numeric_limits<double>::quiet_NaN(), 2);
  writer.add_scalar("limits", 1e-40, std::int64_t{1} << 40);
  const std::array<std::pair<std::string, double>, 2> both = {{{"train", 0.5}, {"val", 0.25}}};
  writer.add_scalars("loss/both", both, 7);
  writer.add_histogram("weights", (at::arange(200) - 60) / 64, 1);
  writer.add_histogram("weights", at::arange(50).reshape({5, 10}), 2);
  const std::vector<double> edges = {0, 8, 16, 32};
  writer.add_histogram("own_edges", at::arange(40), 3, edges);
  writer.add_image("rgb", at::arange(3 * 8 * 12).reshape({3, 8, 12}) / 288, 1);
  writer.add_image("grey", at::arange(64).reshape({8, 8}) / 64, 1, "HW");
  writer.add_image("rgba", at::arange(4 * 16, at::kByte).reshape({4, 4, 4}) * 3, 2, "HWC");
  writer.add_images("grid", at::arange(10 * 9).reshape({10, 1, 3, 3}) / 90, 3);
  writer.add_text("notes", "# A *note*\n\nwith an ä", 4);
  Residual model;
  writer.add_graph(lctl::traced_graph(
      model,
      [](const lctl::Batch& batch) {
        const at::Tensor& x = batch.tensor();
        return lctl::Batch(x.relu().add(x));
      },
      at::ones({1, 2})));
  logger.finalize("success");
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: tensorboard_sample FOLDER\n", stderr);
    return 2;
  }
  try {
    write_sample(arguments[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tensorboard_sample: %s\n", error.what());
    return 1;
  }
  return 0;
}
