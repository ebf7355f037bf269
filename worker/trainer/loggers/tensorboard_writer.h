// TensorBoard's SummaryWriter: what a user logs beside metrics.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "worker/trainer/loggers/tensorboard_event_file.h"
#include "worker/trainer/loggers/tensorboard_events.pb.h"

namespace lctl {

// Methods, tags and files are those of torch.utils.tensorboard.SummaryWriter; an unset step is
// Python's None (readers see 0). Tensors may be on any device. Values of a wrong shape or kind are
// std::invalid_argument that names the tag; errors of the disk are those of TensorBoardEventFile.
// Nothing is written before the first add_ call but the empty file that the constructor makes;
// after close() the next add_ call opens a new one. Thread rule: one strand only (the training
// thread).
class SummaryWriter {
 public:
  struct Options {
    std::string log_dir;
    std::optional<std::int64_t> purge_step;  // hides what earlier files have from this step on
    std::size_t max_queue = 10;              // events that may wait in memory
    std::chrono::seconds flush_secs{120};    // and for how long
    std::string filename_suffix;
    const Clock* clock = &system_clock();
  };
  using Step = std::optional<std::int64_t>;

  explicit SummaryWriter(Options options);
  ~SummaryWriter();

  const std::string& log_dir() const { return options_.log_dir; }

  void add_scalar(std::string_view tag, double value, Step step = std::nullopt);

  // One run of its own for each value, in "<main tag, / as _>_<name>" below log_dir, so that
  // TensorBoard draws them into one chart.
  void add_scalars(std::string_view main_tag,
                   std::span<const std::pair<std::string, double>> values,
                   Step step = std::nullopt);

  // `dataformats` names the dimensions: any order of "CHW" or "HW", or of "NCHW" for a grid of
  // images, 8 in a row. 1, 3 or 4 channels; uint8 as they are, others from 0 to 1.
  void add_image(std::string_view tag, const at::Tensor& image, Step step = std::nullopt,
                 std::string_view dataformats = "CHW");
  void add_images(std::string_view tag, const at::Tensor& images, Step step = std::nullopt,
                  std::string_view dataformats = "NCHW");

  // Buckets that grow by a tenth from ±1e-12 to ±1e20 ("tensorflow"), or rising edges of your own.
  void add_histogram(std::string_view tag, const at::Tensor& values, Step step = std::nullopt);
  void add_histogram(std::string_view tag, const at::Tensor& values, Step step,
                     std::span<const double> edges);

  // Markdown.
  void add_text(std::string_view tag, std::string_view text, Step step = std::nullopt);

  // See traced_graph() in tensorboard_graph.h.
  void add_graph(const tensorboard::GraphDef& graph);
  void add_summary(tensorboard::Summary summary, Step step = std::nullopt);

  void flush();
  void close();

 private:
  TensorBoardEventFile& file();
  TensorBoardEventFile& open(const std::string& folder);
  void write_scalar(TensorBoardEventFile& file, std::string_view tag, double value, Step step);

  const Options options_;
  bool purged_ = false;
  TensorBoardEventFile* main_ = nullptr;                                // in files_, or closed
  std::map<std::string, std::unique_ptr<TensorBoardEventFile>> files_;  // by folder
  tensorboard::Event scalar_;                                           // kept for its memory
};

}  // namespace lctl
