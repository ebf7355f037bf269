#include "jobspec/keys/key_table.h"

#include <algorithm>

#include "base/check.h"
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

// Python packages whose classes a dotted path may name.
std::vector<std::string_view> packages(Kind kind) {
  switch (kind) {
    case Kind::kOptimizer:
      return {"torch.optim."};
    case Kind::kLrScheduler:
      return {"torch.optim.lr_scheduler."};
    case Kind::kCallback:
      return {"lightning.pytorch.callbacks.", "pytorch_lightning.callbacks."};
    case Kind::kLogger:
      return {"lightning.pytorch.loggers.", "pytorch_lightning.loggers."};
    case Kind::kProfiler:
      return {"lightning.pytorch.profilers.", "pytorch_lightning.profilers."};
    case Kind::kLayer:
      return {"torch.nn.", "nn."};
    case Kind::kTransform:
      return {"torchvision.transforms.", "transforms.", "v2."};
    case Kind::kSection:
    case Kind::kModel:
    case Kind::kData:
      break;
  }
  return {};
}

}  // namespace

const Argument* Class::find(std::string_view argument) const {
  const auto found = std::find_if(arguments.begin(), arguments.end(),
                                  [argument](const Argument& a) { return a.name == argument; });
  return found == arguments.end() ? nullptr : &*found;
}

std::span<const Class> classes(Kind kind) {
  switch (kind) {
    case Kind::kSection:
      return section_classes();
    case Kind::kModel:
      return model_classes();
    case Kind::kData:
      return data_classes();
    case Kind::kOptimizer:
      return optimizer_classes();
    case Kind::kLrScheduler:
      return lr_scheduler_classes();
    case Kind::kCallback:
      return callback_classes();
    case Kind::kLogger:
      return logger_classes();
    case Kind::kProfiler:
      return profiler_classes();
    case Kind::kLayer:
      return layer_classes();
    case Kind::kTransform:
      return transform_classes();
  }
  return {};
}

const Class* find_class(Kind kind, std::string_view class_path) {
  for (const std::string_view package : packages(kind)) {
    if (!class_path.starts_with(package)) continue;
    // Modules below the package are fine: torch.optim.adamw.AdamW.
    class_path.remove_prefix(std::max(package.size(), class_path.rfind('.') + 1));
    break;
  }
  const std::span<const Class> all = classes(kind);
  const auto found = std::find_if(all.begin(), all.end(),
                                  [class_path](const Class& c) { return c.name == class_path; });
  return found == all.end() ? nullptr : &*found;
}

const Class& section(std::string_view path) {
  if (path == kTrainerSection.name) return kTrainerSection;
  for (const Class& entry : section_classes()) {
    if (entry.name == path) return entry;
  }
  LCTL_CHECK(false, "callers name sections that exist");
  return kTrainerSection;
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kSection:
      return "section";
    case Kind::kModel:
      return "model";
    case Kind::kData:
      return "data module";
    case Kind::kOptimizer:
      return "optimizer";
    case Kind::kLrScheduler:
      return "lr_scheduler";
    case Kind::kCallback:
      return "callback";
    case Kind::kLogger:
      return "logger";
    case Kind::kProfiler:
      return "profiler";
    case Kind::kLayer:
      return "layer";
    case Kind::kTransform:
      return "transform";
  }
  return "";
}

std::vector<std::string_view> available_names(Kind kind) {
  std::vector<std::string_view> names;
  for (const Class& entry : classes(kind)) {
    if (entry.available) names.push_back(entry.name);
  }
  return names;
}

}  // namespace lctl::jobspec::keys
