#include "jobspec/reference.h"

#include <fmt/format.h>

#include <string_view>

#include "jobspec/keys/key_table.h"

namespace lctl::jobspec {
namespace {

using keys::Argument;
using keys::Class;
using keys::Kind;

// A cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string code(std::string_view text) { return text.empty() ? "" : "`" + cell(text) + "`"; }

std::string about(const Argument& argument) {
  std::string text = cell(argument.about);
  if (argument.support.empty()) return text;
  if (!text.empty()) text += "; ";
  if (argument.support == "later") return text + "not in this version: only the default";
  constexpr std::string_view kOnly = "only: ";
  return text + "in this version " + cell(argument.support.substr(kOnly.size()));
}

std::string table_of(const Class& entry) {
  if (entry.arguments.empty()) return "No arguments.\n";
  std::string out = "| key | type | default | allowed | |\n|---|---|---|---|---|\n";
  for (const Argument& argument : entry.arguments) {
    const bool required = argument.fallback == keys::kRequired;
    out += fmt::format("| {} | {} | {} | {} | {} |\n", code(argument.name), code(argument.type),
                       required ? "**required**" : code(argument.fallback), cell(argument.rule),
                       about(argument));
  }
  return out;
}

std::string section(std::string_view title, std::string_view path) {
  return fmt::format("### {}\n{}\n", title, table_of(keys::section(path)));
}

std::string classes_of(Kind kind, std::string_view title) {
  std::string out = fmt::format("## {}\n", title);
  std::string missing;
  for (const Class& entry : keys::classes(kind)) {
    if (!entry.available) {
      missing += fmt::format("{}`{}`", missing.empty() ? "" : ", ", entry.name);
      continue;
    }
    out += fmt::format("### {}\n", entry.name);
    if (!entry.about.empty()) out += fmt::format("{}\n\n", entry.about);
    out += table_of(entry) + "\n";
  }
  if (!missing.empty()) out += fmt::format("Known by name, not in this version: {}.\n\n", missing);
  return out;
}

// "Linear(in_features, out_features, bias=true)"
std::string signature(const Class& entry) {
  std::string out = std::string(entry.name) + "(";
  bool first = true;
  for (const Argument& argument : entry.arguments) {
    if (!first) out += ", ";
    first = false;
    out += argument.name;
    if (argument.fallback != keys::kRequired) out += fmt::format("={}", argument.fallback);
  }
  return out + ")";
}

// A line for each class: those of a kind that another library documents.
std::string signatures(Kind kind, std::string_view title, std::string_view introduction) {
  std::string out = fmt::format("## {}\n{}\n\n", title, introduction);
  std::string missing;
  for (const Class& entry : keys::classes(kind)) {
    if (entry.available) {
      out += fmt::format("- `{}`{}{}\n", signature(entry), entry.about.empty() ? "" : ": ",
                         entry.about);
    } else {
      missing += fmt::format("{}`{}`", missing.empty() ? "" : ", ", entry.name);
    }
  }
  if (!missing.empty()) out += fmt::format("\nKnown by name, not in this version: {}.\n", missing);
  return out;
}

std::string layers() {
  return signatures(
      Kind::kLayer, "Layers",
      "For `layers` of a model, in the order of the forward pass: `Linear: {in_features: 8, "
      "out_features: 4}`, or the name alone when no argument is needed. Names, arguments and "
      "defaults are those of torch.nn.");
}

std::string transforms() {
  return signatures(
      Kind::kTransform, "Transforms",
      "For the `transforms` of a data module, in the order in which they are applied: `Resize: "
      "{size: 256}`, or the name alone when no argument is needed. Names, arguments and defaults "
      "are those of torchvision.transforms.v2 on tensors.");
}

}  // namespace

std::string reference() {
  std::string out = "## Sections\n";
  out += section("the top of the file", "");
  out += section("trainer", "trainer");
  out += section("job", "job");
  out += section("job.resources", "job.resources");
  out += section("job.retention", "job.retention");
  out += section("job.elastic", "job.elastic");
  out += section("an entry of job.log_policies", "job.log_policies");
  out += section("lr_scheduler, beside class_path and init_args", "lr_scheduler");
  out += section("tune.lr_find", "tune.lr_find");
  out += section("tune.scale_batch_size", "tune.scale_batch_size");
  out += classes_of(Kind::kModel, "Models");
  out += section("model.init_args.log.METRIC", "model.init_args.log");
  out += classes_of(Kind::kData, "Data");
  out += classes_of(Kind::kOptimizer, "Optimizers");
  out += classes_of(Kind::kLrScheduler, "Learning-rate schedulers");
  out += classes_of(Kind::kCallback, "Callbacks");
  out += classes_of(Kind::kLogger, "Loggers");
  out += section("watch of a WandbLogger", "logger.watch");
  out += classes_of(Kind::kProfiler, "Profilers");
  out += section("schedule of a PyTorchProfiler", "profiler.schedule");
  out += section("on_trace_ready of a PyTorchProfiler", "profiler.on_trace_ready");
  return out + layers() + "\n" + transforms();
}

}  // namespace lctl::jobspec
