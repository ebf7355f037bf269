// Manual optimisation: two optimizers that take turns, as in Lightning's GAN example.
//
//   bazel run //examples/cpp:gan
//
// A generator learns to draw points on a circle; the discriminator tells them from real ones.
#include <cmath>
#include <string>

#include "worker/trainer/lightning.h"

namespace L = lctl;
namespace nn = torch::nn;
namespace F = torch::nn::functional;

constexpr std::int64_t kLatent = 8;

class CircleDataModule : public L::LightningDataModule {
 public:
  std::shared_ptr<L::DataLoader> train_dataloader() override {
    const at::Tensor angle = torch::linspace(0, 2 * M_PI, 4096);
    auto points = std::make_shared<L::TensorDataset>(
        std::vector<at::Tensor>{torch::stack({angle.cos(), angle.sin()}, 1)});
    return L::make_dataloader(points, {.batch_size = 128, .shuffle = true});
  }
};

class Gan : public L::LightningModule {
 public:
  Gan() {
    generator = register_module(
        "generator", nn::Sequential(nn::Linear(kLatent, 64), nn::ReLU(), nn::Linear(64, 2)));
    discriminator = register_module(
        "discriminator", nn::Sequential(nn::Linear(2, 64), nn::LeakyReLU(), nn::Linear(64, 1)));
    set_automatic_optimization(false);
  }

  at::Tensor forward(const at::Tensor& noise) override { return generator->forward(noise); }

  L::StepOutput training_step(const L::Batch& batch, std::int64_t) override {
    const at::Tensor real = batch[0].tensor();
    const auto both = optimizers();
    auto opt_g = both[0];
    auto opt_d = both[1];
    const at::Tensor ones = torch::ones({real.size(0), 1}, real.options());

    // Between toggle and untoggle only the generator's parameters have gradients.
    toggle_optimizer(opt_g);
    const at::Tensor noise = torch::randn({real.size(0), kLatent}, real.options());
    const at::Tensor g_loss = F::binary_cross_entropy_with_logits(
        discriminator->forward(generator->forward(noise)), ones);
    opt_g.zero_grad();
    manual_backward(g_loss);
    opt_g.step();
    untoggle_optimizer(opt_g);

    toggle_optimizer(opt_d);
    const at::Tensor fake = generator->forward(noise).detach();
    const at::Tensor d_loss =
        (F::binary_cross_entropy_with_logits(discriminator->forward(real), ones) +
         F::binary_cross_entropy_with_logits(discriminator->forward(fake), 1 - ones)) /
        2;
    opt_d.zero_grad();
    manual_backward(d_loss);
    opt_d.step();
    untoggle_optimizer(opt_d);

    log_dict({{"loss/generator", g_loss}, {"loss/discriminator", d_loss}}, {.prog_bar = true});
    log("radius", fake.norm(2, 1).mean(), {.prog_bar = true, .on_step = false, .on_epoch = true});
    return {};  // the work is done
  }

  // Schedulers are the module's business, too.
  void on_train_epoch_end() override {
    for (L::LRScheduler* scheduler : lr_schedulers()) scheduler->step(nullptr);
  }

  L::OptimizersConfig configure_optimizers() override {
    L::OptimizersConfig config;
    const L::AdamOptions options = {.lr = 2e-3, .betas = {0.5, 0.999}};
    auto opt_g = L::make_optimizer<L::Adam>(generator->parameters(), options);
    auto opt_d = L::make_optimizer<L::Adam>(discriminator->parameters(), options);
    auto decay = L::exponential_lr(*opt_g, /*gamma=*/0.9);
    config.add(std::move(opt_g), {.scheduler = std::move(decay)});
    config.add(std::move(opt_d));
    return config;
  }

  nn::Sequential generator = nullptr;
  nn::Sequential discriminator = nullptr;
};

int main() {
  return L::run_program([] {
    L::seed_everything(7);
    Gan gan;
    CircleDataModule data;
    L::Trainer trainer({.accelerator = "cpu",
                        .logger = L::make<L::CSVLogger>({.save_dir = "logs", .name = "gan"}),
                        .max_epochs = 15,
                        .enable_checkpointing = false});
    trainer.fit(gan, &data);

    gan.freeze();
    const at::Tensor radius = gan.forward(torch::randn({1000, kLatent})).norm(2, 1);
    trainer.print("global_step counts both optimizers: " + std::to_string(trainer.global_step()));
    trainer.print("mean radius of what the generator draws (1 is perfect): " +
                  std::to_string(radius.mean().item<double>()));
  });
}
