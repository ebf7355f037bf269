// Data modules.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr Argument kCsv[] = {
    {"path", "path", kRequired, "", ".csv or .csv.gz with a header line"},
    {"label", "int|str", "-1", "",
     "column of the target: its name, or its index (negative: from the end)"},
    {"scale", "float", "1.0", "not 0", "features are divided by it"},
    {"reshape", "list[int]?", "null", "not 0", "shape of one sample"},
    {"label_dtype", "str", "int64", "one of: int64, float32",
     "class numbers, or values of shape [n, 1]"},
    {"label_scale", "float", "1.0", "not 0", "float32 targets are divided by it"},
    {"rows", "int?", "null", ">= 1", "read only the first so many; null: all"},
    {"val_fraction", "float", "0.2", "in [0, 1)", "share for validation"},
    {"test_fraction", "float", "0.0", "in [0, 1)", "share for test"},
    {"split_seed", "int", "42", "", "seed of the split"},
    {"batch_size", "int", "32", ">= 1", "samples of a batch, on each rank"},
    {"val_batch_size", "int?", "null", ">= 1",
     "for validation, test and predict; null: batch_size"},
    {"shuffle", "bool", "true", "", "new order in each training epoch"},
    {"drop_last", "bool", "false", "", "leave out an incomplete last training batch"},
    {"num_workers", "int", "0", "in [0, 1024]", "threads that prepare batches"},
};

constexpr Argument kSynthetic[] = {
    {"kind", "str", "classification", "one of: classification, regression, binary, tokens",
     "what the targets are"},
    {"num_train", "int", "64", "in [0, 100000000]", "training samples"},
    {"num_val", "int", "32", "in [0, 100000000]", "validation samples"},
    {"num_test", "int", "0", "in [0, 100000000]", "test samples"},
    {"num_features", "int", "8", "in [1, 1000000]", "features of a sample"},
    {"num_classes", "int", "4", "in [1, 1000000]", "classes"},
    {"vocab_size", "int", "16", "in [1, 1000000000]", "different tokens"},
    {"reshape", "list[int]?", "null", "not 0", "shape of one sample"},
    {"batch_size", "int", "16", ">= 1", "samples of a batch, on each rank"},
    {"val_batch_size", "int?", "null", ">= 1",
     "for validation, test and predict; null: batch_size"},
    {"shuffle", "bool", "false", "", "new order in each training epoch"},
    {"drop_last", "bool", "false", "", "leave out an incomplete last training batch"},
    {"num_workers", "int", "0", "in [0, 1024]", "threads that prepare batches"},
    {"nan_index", "int?", "null", ">= 0", "this sample's features are NaN"},
    {"memory_limit", "int?", "null", ">= 1",
     "a batch of more samples fails as if memory had run out"},
};

constexpr Class kData[] = {
    {Kind::kData, "CsvDataModule", kCsv, true,
     "A table in a file; batches are (features, target)."},
    {Kind::kData, "SyntheticDataModule", kSynthetic, true,
     "Made-up data, the same everywhere; for tests."},
};

}  // namespace

std::span<const Class> data_classes() { return kData; }

}  // namespace lctl::jobspec::keys
