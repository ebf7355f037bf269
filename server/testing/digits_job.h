// A job file for tests of the coordinator. No rank of it ever runs.
#pragma once

namespace lctl::server {

// Named digits, one rank. It ends inside its section `job`, for tests to add to.
inline constexpr char kDigitsJob[] = R"(
trainer:
  max_epochs: 1
model:
  class_path: Classifier
  init_args:
    layers:
      - Linear: {in_features: 64, out_features: 10}
data:
  class_path: CsvDataModule
  init_args: {path: /nowhere/digits.csv, label: label, batch_size: 16}
optimizer:
  class_path: SGD
  init_args: {lr: 0.1}
job:
  name: digits
)";

}  // namespace lctl::server
