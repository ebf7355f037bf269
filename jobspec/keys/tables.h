// The parts of the key table, one function for each file of this folder. Others use key_table.h.
#pragma once

#include <span>

#include "jobspec/keys/key_table.h"

namespace lctl::jobspec::keys {

std::span<const Class> section_classes();       // sections.cc, and trainer.cc for "trainer"
extern const Class kTrainerSection;             // trainer.cc
std::span<const Class> model_classes();         // models.cc
std::span<const Class> data_classes();          // data.cc
std::span<const Class> optimizer_classes();     // optimizers.cc
std::span<const Class> lr_scheduler_classes();  // lr_schedulers.cc
std::span<const Class> callback_classes();      // callbacks.cc
std::span<const Class> logger_classes();        // loggers.cc
std::span<const Class> profiler_classes();      // profilers.cc
std::span<const Class> layer_classes();         // layers.cc
std::span<const Class> transform_classes();     // transforms.cc

}  // namespace lctl::jobspec::keys
