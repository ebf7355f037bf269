#include "worker/trainer/loggers/tensorboard_writer.h"

#include <algorithm>
#include <utility>

#include "worker/trainer/loggers/tensorboard_summary.h"

namespace lctl {

SummaryWriter::SummaryWriter(Options options) : options_(std::move(options)) { file(); }
SummaryWriter::~SummaryWriter() = default;

TensorBoardEventFile& SummaryWriter::open(const std::string& folder) {
  TensorBoardEventFile::Options options;
  options.max_queue = options_.max_queue;
  options.flush_secs = options_.flush_secs;
  options.filename_suffix = options_.filename_suffix;
  options.clock = options_.clock;
  auto& place = files_[folder];
  if (place == nullptr) place = std::make_unique<TensorBoardEventFile>(folder, std::move(options));
  return *place;
}

TensorBoardEventFile& SummaryWriter::file() {
  if (main_ != nullptr) return *main_;
  main_ = &open(options_.log_dir);
  if (options_.purge_step.has_value() && !std::exchange(purged_, true)) {
    tensorboard::Event event;
    event.set_step(*options_.purge_step);
    event.set_file_version(kEventFileVersion);
    main_->add(event);
    event.mutable_session_log()->set_status(tensorboard::SessionLog::START);
    main_->add(event);
  }
  return *main_;
}

void SummaryWriter::write_scalar(TensorBoardEventFile& file, std::string_view tag, double value,
                                 Step step) {
  tensorboard::Summary& summary = *scalar_.mutable_summary();
  tensorboard::Summary::Value& entry =
      summary.value_size() > 0 ? *summary.mutable_value(0) : *summary.add_value();
  entry.mutable_tag()->assign(tag);
  entry.set_simple_value(static_cast<float>(value));
  scalar_.set_step(step.value_or(0));
  file.add(scalar_);
}

void SummaryWriter::add_scalar(std::string_view tag, double value, Step step) {
  write_scalar(file(), tag, value, step);
}

void SummaryWriter::add_scalars(std::string_view main_tag,
                                std::span<const std::pair<std::string, double>> values, Step step) {
  file();
  std::string run(main_tag);
  std::replace(run.begin(), run.end(), '/', '_');
  for (const auto& [name, value] : values)
    write_scalar(open(options_.log_dir + "/" + run + "_" + name), main_tag, value, step);
}

void SummaryWriter::add_image(std::string_view tag, const at::Tensor& image, Step step,
                              std::string_view dataformats) {
  add_summary(image_summary(tag, image, dataformats), step);
}

void SummaryWriter::add_images(std::string_view tag, const at::Tensor& images, Step step,
                               std::string_view dataformats) {
  add_summary(image_summary(tag, images, dataformats), step);
}

void SummaryWriter::add_histogram(std::string_view tag, const at::Tensor& values, Step step) {
  add_histogram(tag, values, step, default_bucket_edges());
}

void SummaryWriter::add_histogram(std::string_view tag, const at::Tensor& values, Step step,
                                  std::span<const double> edges) {
  add_summary(histogram_summary(tag, values, edges), step);
}

void SummaryWriter::add_text(std::string_view tag, std::string_view text, Step step) {
  add_summary(text_summary(tag, text), step);
}

void SummaryWriter::add_graph(const tensorboard::GraphDef& graph) {
  tensorboard::Event event;
  event.set_graph_def(graph.SerializeAsString());
  file().add(event);
  tensorboard::RunMetadata metadata;
  metadata.mutable_step_stats()->add_dev_stats()->set_device("/device:CPU:0");
  event.mutable_tagged_run_metadata()->set_tag("step1");
  event.mutable_tagged_run_metadata()->set_run_metadata(metadata.SerializeAsString());
  file().add(event);
}

void SummaryWriter::add_summary(tensorboard::Summary summary, Step step) {
  tensorboard::Event event;
  *event.mutable_summary() = std::move(summary);
  event.set_step(step.value_or(0));
  file().add(event);
}

void SummaryWriter::flush() {
  for (const auto& [folder, file] : files_) file->flush();
}

void SummaryWriter::close() {
  for (const auto& [folder, file] : files_) file->close();
  files_.clear();
  main_ = nullptr;
}

}  // namespace lctl
