#include "worker/trainer/checkpoint/pickle_reader.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>

#include "worker/trainer/checkpoint/opcodes.h"
#include "worker/trainer/checkpoint/pickle_writer.h"
#include "worker/trainer/checkpoint/storage_types.h"

namespace lctl::checkpoint {
namespace {

// Things on the unpickler's stack that are no values.
struct Mark {};
struct Global {
  std::string module;
  std::string name;
};
struct StorageRef {
  c10::Storage storage;
  at::ScalarType type = at::kFloat;
  std::int64_t numel = 0;
};
using Item = std::variant<Value, Mark, Global, StorageRef>;

bool is_hashable(const Value& key) { return key.is_string() || key.is_int(); }

class Unpickler {
 public:
  Unpickler(std::string_view bytes, const StorageLoader& load) : bytes_(bytes), load_(load) {}

  ~Unpickler() {
    // A malformed file can tie containers into cycles; nothing that was not handed out may stay.
    if (finished_) return;
    for (const auto& value : containers_) clear(value);
  }

  Unpickler(const Unpickler&) = delete;
  Unpickler& operator=(const Unpickler&) = delete;

  Value run() {
    while (true) {
      opcode_at_ = at_;
      const char op = take_byte();
      if (op == opcode::kStop) break;
      step(op);
    }
    if (stack_.size() != 1) fail("the stack holds more than the result at STOP");
    Value result = pop_value();
    check_shape();
    finished_ = true;
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const { throw PickleError(why, opcode_at_); }

  // --- bytes ---
  std::string_view take(std::size_t size) {
    if (size > bytes_.size() - at_) fail("the data ends in the middle of an item");
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  char take_byte() { return take(1)[0]; }
  std::uint64_t take_little_endian(int size) {
    std::uint64_t value = 0;
    int shift = 0;
    for (const char byte : take(static_cast<std::size_t>(size))) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(byte)) << shift;
      shift += 8;
    }
    return value;
  }
  std::string take_line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos || end - at_ > 256) fail("a name is not terminated");
    std::string line(bytes_.substr(at_, end - at_));
    at_ = end + 1;
    return line;
  }
  double take_double() {
    std::uint64_t bits = 0;
    for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
    return std::bit_cast<double>(bits);
  }
  std::int64_t take_long1() {
    const auto size = static_cast<std::size_t>(take_little_endian(1));
    const std::string_view digits = take(size);
    if (size == 0) return 0;
    const bool negative = (static_cast<unsigned char>(digits.back()) & 0x80) != 0;
    std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
    for (std::size_t i = 0; i < size; ++i) {
      const auto byte = static_cast<unsigned char>(digits[i]);
      if (i >= 8) {
        if (byte != (negative ? 0xff : 0)) fail("an integer beyond 64 bits");
        continue;
      }
      value &= ~(std::uint64_t{0xff} << (8 * i));
      value |= std::uint64_t{byte} << (8 * i);
    }
    const auto result = static_cast<std::int64_t>(value);
    if ((result < 0) != negative) fail("an integer beyond 64 bits");
    return result;
  }

  // --- stack ---
  void push(Item item) { stack_.push_back(std::move(item)); }

  // Containers are remembered so that cycles can be broken when the file turns out to be malformed.
  void push_container(Value value) {
    containers_.push_back(value);
    push(std::move(value));
  }

  Item pop() {
    if (stack_.empty()) fail("the stack is empty");
    Item item = std::move(stack_.back());
    stack_.pop_back();
    return item;
  }
  Value pop_value() {
    Item item = pop();
    if (Value* value = std::get_if<Value>(&item)) return std::move(*value);
    fail("a value was expected on the stack");
  }
  Value& top_value() {
    if (stack_.empty() || !std::holds_alternative<Value>(stack_.back())) {
      fail("a container was expected on the stack");
    }
    return std::get<Value>(stack_.back());
  }
  std::vector<Value> pop_to_mark() {
    std::size_t first = stack_.size();
    while (first > 0 && !std::holds_alternative<Mark>(stack_[first - 1])) --first;
    if (first == 0) fail("no mark on the stack");
    std::vector<Value> values;
    values.reserve(stack_.size() - first);
    for (std::size_t i = first; i < stack_.size(); ++i) {
      // Arguments of a storage reference or a default factory are no values: keep their names.
      if (Value* value = std::get_if<Value>(&stack_[i])) {
        values.push_back(std::move(*value));
      } else if (const Global* global = std::get_if<Global>(&stack_[i])) {
        values.push_back(named(*global));
      } else if (StorageRef* storage = std::get_if<StorageRef>(&stack_[i])) {
        // Only as first argument of _rebuild_tensor_v2.
        pending_storage_ = std::move(*storage);
        values.emplace_back(None{});
      } else {
        fail("a mark among values");
      }
    }
    stack_.resize(first - 1);
    return values;
  }

  // A global that stands where data is expected: dtypes and storage classes keep their names.
  Value named(const Global& global) const {
    if (global.module == "torch" &&
        (is_dtype_name(global.name) || storage_type(global.name).has_value())) {
      return Value("torch." + global.name);
    }
    if (global.module == "builtins" || global.module == "__builtin__") return Value(global.name);
    refuse(global);
  }

  [[noreturn]] void refuse(const Global& global) const {
    fail(fmt::format("{}.{} is not plain data and is not loaded", global.module, global.name));
  }

  // --- memo ---
  void remember(std::uint64_t slot) {
    if (stack_.empty()) fail("nothing to remember");
    if (slot > bytes_.size()) fail("a memo slot beyond any that the file could need");
    memo_[slot] = stack_.back();
  }
  void recall(std::uint64_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) fail("an unknown memo slot");
    if (const Value* value = std::get_if<Value>(&found->second);
        value != nullptr && value->is_string()) {
      spend(value->as_string().size());
    }
    push(found->second);
  }

  // Copies that the bytes alone do not pay for: a small file must not become a huge value.
  void spend(std::size_t size) {
    spent_ += size;
    if (spent_ > (std::size_t{64} << 20) + 16 * bytes_.size()) {
      fail("the file repeats itself beyond measure");
    }
  }

  // --- containers ---
  void set_item(Dict& dict, Value key, Value value) const {
    if (key.is_bool() || key.is_double()) {
      // Python allows them; as text they stay readable.
      key = key.is_bool() ? Value(key.as_bool() ? "True" : "False")
                          : Value(fmt::format("{}", key.as_double()));
    }
    if (!is_hashable(key)) fail(fmt::format("a dictionary key of type {}", key.type_name()));
    if (key.is_string()) {
      dict.set(key.as_string(), std::move(value));
    } else {
      dict.set(key.as_int(), std::move(value));
    }
  }
  void set_items(std::vector<Value> flat) {
    if (flat.size() % 2 != 0) fail("a dictionary key without a value");
    Value& target = top_value();
    if (!target.is_dict()) fail("SETITEMS needs a dictionary");
    for (std::size_t i = 0; i < flat.size(); i += 2) {
      set_item(target.as_dict(), std::move(flat[i]), std::move(flat[i + 1]));
    }
  }
  void append_items(std::vector<Value> items) {
    Value& target = top_value();
    if (!target.is_list()) fail("APPENDS needs a list");
    for (Value& item : items) target.as_list().push_back(std::move(item));
  }
  void push_tuple(std::vector<Value> items) {
    // A storage reference is a tuple for BINPERSID only; tensors take it through pending_storage_.
    push_container(Value(Tuple{std::move(items)}));
  }
  void build() {
    const Value state = pop_value();
    Value& target = top_value();
    if (!target.is_dict() || !state.is_dict()) fail("BUILD is understood for OrderedDict only");
    if (const Value* metadata = state.as_dict().find("_metadata");
        metadata != nullptr && metadata->is_dict()) {
      spend(64 * metadata->as_dict().size());
      target.as_dict().metadata = std::make_shared<Dict>(metadata->as_dict());
    }
  }

  // --- tensors ---
  void persistent_id() {
    const Value id = pop_value();
    if (!id.is_tuple() || id.as_tuple().items.size() != 5) fail("a malformed storage reference");
    const std::vector<Value>& parts = id.as_tuple().items;
    for (const int i : {0, 1, 2, 3}) {
      if (!parts[static_cast<std::size_t>(i)].is_string()) fail("a malformed storage reference");
    }
    if (parts[0].as_string() != "storage" || !parts[4].is_int()) {
      fail("a malformed storage reference");
    }
    const std::string& class_name = parts[1].as_string();
    const auto type = storage_type(class_name.substr(class_name.find('.') + 1));
    if (!type.has_value()) fail(fmt::format("an unknown storage type {}", class_name));
    const std::int64_t numel = parts[4].as_int();
    const auto item_size = static_cast<std::int64_t>(c10::elementSize(*type));
    if (numel < 0 || numel > std::numeric_limits<std::int64_t>::max() / item_size) {
      fail("an impossible storage size");
    }
    const std::string& key = parts[2].as_string();
    auto found = storages_.find(key);
    if (found == storages_.end()) {
      const auto wanted = static_cast<std::size_t>(numel * item_size);
      found = storages_.emplace(key, load_(key, wanted)).first;
    }
    if (found->second.nbytes() != static_cast<std::size_t>(numel * item_size)) {
      fail(fmt::format("storage {} is used with two sizes", key));
    }
    push(StorageRef{found->second, *type, numel});
  }

  std::vector<std::int64_t> integers(const Value& value, const char* what) const {
    if (!value.is_tuple()) fail(fmt::format("a tensor's {} is not a tuple", what));
    if (value.as_tuple().items.size() > 64) fail("a tensor of more than 64 dimensions");
    std::vector<std::int64_t> result;
    for (const Value& item : value.as_tuple().items) {
      if (!item.is_int() || item.as_int() < 0)
        fail(fmt::format("a tensor's {} is malformed", what));
      result.push_back(item.as_int());
    }
    return result;
  }

  // The last element that the tensor touches must lie in its storage; all sums are
  // overflow-checked.
  void check_extent(std::int64_t offset, const std::vector<std::int64_t>& sizes,
                    const std::vector<std::int64_t>& strides, std::int64_t numel) const {
    if (sizes.size() != strides.size()) fail("a tensor's size and stride differ in length");
    std::int64_t last = offset;
    bool empty = false;
    std::int64_t elements = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == 0) empty = true;
      std::int64_t extent = 0;
      if (sizes[i] > 0 && (__builtin_mul_overflow(sizes[i] - 1, strides[i], &extent) ||
                           __builtin_add_overflow(last, extent, &last))) {
        fail("a tensor reaches outside its storage");
      }
      if (!empty && __builtin_mul_overflow(elements, sizes[i], &elements)) {
        fail("a tensor of impossible size");
      }
    }
    // Overlapping strides could ask for far more elements than were stored.
    if (!empty && (last >= numel || elements > numel)) fail("a tensor reaches outside its storage");
    if (empty && offset > numel) fail("a tensor reaches outside its storage");
  }

  Value rebuild_tensor(const std::vector<Value>& arguments) {
    if (arguments.size() < 6 || !pending_storage_.has_value() || !arguments[1].is_int()) {
      fail("a malformed tensor");
    }
    const StorageRef storage = *std::exchange(pending_storage_, std::nullopt);
    const std::int64_t offset = arguments[1].as_int();
    const std::vector<std::int64_t> sizes = integers(arguments[2], "size");
    const std::vector<std::int64_t> strides = integers(arguments[3], "stride");
    if (offset < 0) fail("a tensor reaches outside its storage");
    check_extent(offset, sizes, strides, storage.numel);
    at::Tensor tensor = at::empty({0}, at::TensorOptions().dtype(storage.type));
    tensor.set_(storage.storage, offset, sizes, strides);
    if (arguments[4].is_bool() && arguments[4].as_bool() && tensor.is_floating_point()) {
      tensor.set_requires_grad(true);
    }
    return Value(std::move(tensor));
  }

  // --- calls ---
  void reduce() {
    const Value arguments_value = pop_value();
    Item callee = pop();
    const Global* global = std::get_if<Global>(&callee);
    if (global == nullptr || !arguments_value.is_tuple())
      fail("a call of something that is no name");
    const std::vector<Value>& arguments = arguments_value.as_tuple().items;
    call(*global, arguments);
  }

  void call(const Global& global, const std::vector<Value>& arguments) {
    const std::string_view module = global.module;
    const std::string_view name = global.name;
    const bool builtin = module == "builtins" || module == "__builtin__";
    if (module == "torch._utils" && name == "_rebuild_tensor_v2") {
      push(rebuild_tensor(arguments));
    } else if (module == "torch._utils" && name == "_rebuild_parameter") {
      if (arguments.size() < 2 || !arguments[0].is_tensor()) fail("a malformed parameter");
      push(arguments[0]);
    } else if (module == "collections" &&
               (name == "OrderedDict" || name == "defaultdict" || name == "Counter")) {
      push_mapping(name, arguments);
    } else if (module == "torch" && name == "Size") {
      if (arguments.size() != 1 || !arguments[0].is_tuple()) fail("a malformed torch.Size");
      push(arguments[0]);
    } else if (module == "torch" && name == "device") {
      push_device(arguments);
    } else if (builtin && name == "set") {
      if (arguments.size() != 1 || !arguments[0].is_list()) fail("a malformed set");
      push(arguments[0]);
    } else if (module == "_codecs" && name == "encode") {
      if (arguments.empty() || !arguments[0].is_string()) fail("malformed bytes");
      push(arguments[0]);
    } else {
      refuse(global);
    }
  }

  void push_mapping(std::string_view name, const std::vector<Value>& arguments) {
    Dict dict;
    dict.ordered = name == "OrderedDict";
    for (const Value& argument : arguments) {
      if (argument.is_dict()) {
        spend(64 * argument.as_dict().size());
        for (const auto& [key, value] : argument.as_dict().entries()) set_item(dict, key, value);
      } else if (argument.is_list()) {
        spend(64 * argument.as_list().size());  // OrderedDict([[key, value], …])
        for (const Value& pair : argument.as_list()) {
          const std::vector<Value>* parts = pair.is_tuple()  ? &pair.as_tuple().items
                                            : pair.is_list() ? &pair.as_list()
                                                             : nullptr;
          if (parts == nullptr || parts->size() != 2) fail("a malformed mapping");
          set_item(dict, (*parts)[0], (*parts)[1]);
        }
      } else if (name != "defaultdict") {
        fail("a malformed mapping");
      }
    }
    push_container(Value(std::move(dict)));
  }

  void push_device(const std::vector<Value>& arguments) {
    if (arguments.empty() || arguments.size() > 2 || !arguments[0].is_string()) {
      fail("a malformed torch.device");
    }
    std::string text = arguments[0].as_string();
    if (arguments.size() == 2 && arguments[1].is_int()) {
      text += ":" + std::to_string(arguments[1].as_int());
    }
    push(Value(std::move(text)));
  }

  // --- dispatch ---
  void step(char op) {
    switch (op) {
      case opcode::kProto:
        if (take_little_endian(1) > 5) fail("a pickle protocol newer than 5");
        return;
      case opcode::kMark:
        push(Mark{});
        return;
      case opcode::kPop:
        pop();
        return;
      case opcode::kPopMark:
        pop_to_mark();
        return;
      case opcode::kNone:
        push(Value(None{}));
        return;
      case opcode::kNewTrue:
        push(Value(true));
        return;
      case opcode::kNewFalse:
        push(Value(false));
        return;
      case opcode::kBinInt:
        push(Value(static_cast<std::int64_t>(static_cast<std::int32_t>(take_little_endian(4)))));
        return;
      case opcode::kBinInt1:
        push(Value(static_cast<std::int64_t>(take_little_endian(1))));
        return;
      case opcode::kBinInt2:
        push(Value(static_cast<std::int64_t>(take_little_endian(2))));
        return;
      case opcode::kLong1:
        push(Value(take_long1()));
        return;
      case opcode::kBinFloat:
        push(Value(take_double()));
        return;
      case opcode::kBinUnicode:
        push(Value(take(static_cast<std::size_t>(take_little_endian(4)))));
        return;
      default:
        step_container(op);
    }
  }

  void step_container(char op) {
    switch (op) {
      case opcode::kEmptyDict:
        push_container(Value(Dict{}));
        return;
      case opcode::kEmptyList:
        push_container(Value(List{}));
        return;
      case opcode::kEmptyTuple:
        push_tuple({});
        return;
      case opcode::kTuple:
        push_tuple(pop_to_mark());
        return;
      case opcode::kTuple1:
      case opcode::kTuple2:
      case opcode::kTuple3: {
        std::vector<Value> items(static_cast<std::size_t>(op - opcode::kTuple1 + 1));
        for (std::size_t i = items.size(); i-- > 0;) items[i] = pop_argument();
        push_tuple(std::move(items));
        return;
      }
      case opcode::kAppend: {
        Value item = pop_value();
        append_items({std::move(item)});
        return;
      }
      case opcode::kAppends:
        append_items(pop_to_mark());
        return;
      case opcode::kSetItem: {
        Value value = pop_value();
        Value key = pop_value();
        set_items({std::move(key), std::move(value)});
        return;
      }
      case opcode::kSetItems:
        set_items(pop_to_mark());
        return;
      default:
        step_object(op);
    }
  }

  // Like pop_value, for the short tuples that may hold a name (a defaultdict's factory).
  Value pop_argument() {
    Item item = pop();
    if (Value* value = std::get_if<Value>(&item)) return std::move(*value);
    if (const Global* global = std::get_if<Global>(&item)) return named(*global);
    fail("a value was expected on the stack");
  }

  void step_object(char op) {
    switch (op) {
      case opcode::kGlobal: {
        std::string module = take_line();
        std::string name = take_line();
        push(Global{std::move(module), std::move(name)});
        // A dtype may stand alone as a value.
        if (const Global& global = std::get<Global>(stack_.back());
            global.module == "torch" && is_dtype_name(global.name)) {
          stack_.back() = Value("torch." + global.name);
        }
        return;
      }
      case opcode::kReduce:
      case opcode::kNewObj:
        reduce();
        return;
      case opcode::kBuild:
        build();
        return;
      case opcode::kBinPersId:
        persistent_id();
        return;
      case opcode::kBinPut:
        remember(take_little_endian(1));
        return;
      case opcode::kLongBinPut:
        remember(take_little_endian(4));
        return;
      case opcode::kBinGet:
        recall(take_little_endian(1));
        return;
      case opcode::kLongBinGet:
        recall(take_little_endian(4));
        return;
      default:
        fail(fmt::format("the instruction 0x{:02x} is not part of plain data",
                         static_cast<unsigned>(static_cast<unsigned char>(op))));
    }
  }

  // --- the result ---
  // Refuses cycles and deep nesting in everything that was made, so that nobody who walks or
  // destroys a value has to think of them. Inner containers come first, which keeps this walk
  // shallow.
  void check_shape() {
    std::unordered_map<const void*, int> depth_of;
    std::unordered_set<const void*> open;
    for (const Value& container : containers_) measure(container, 0, depth_of, open);
  }

  int measure(const Value& value, int level, std::unordered_map<const void*, int>& depth_of,
              std::unordered_set<const void*>& open) {
    const void* identity = value.is_list()    ? static_cast<const void*>(&value.as_list())
                           : value.is_tuple() ? static_cast<const void*>(&value.as_tuple())
                           : value.is_dict()  ? static_cast<const void*>(&value.as_dict())
                                              : nullptr;
    if (identity == nullptr) return 0;
    if (const auto known = depth_of.find(identity); known != depth_of.end()) return known->second;
    if (level > kMaxDepth) fail(fmt::format("values nested deeper than {} levels", kMaxDepth));
    if (!open.insert(identity).second) fail("a container that contains itself");
    int deepest = 0;
    const auto visit = [&](const Value& part) {
      deepest = std::max(deepest, 1 + measure(part, level + 1, depth_of, open));
    };
    if (value.is_list()) {
      for (const Value& item : value.as_list()) visit(item);
    } else if (value.is_tuple()) {
      for (const Value& item : value.as_tuple().items) visit(item);
    } else {
      for (const auto& [key, item] : value.as_dict().entries()) visit(item);
      if (value.as_dict().metadata != nullptr) {
        for (const auto& [key, item] : value.as_dict().metadata->entries()) visit(item);
      }
    }
    if (deepest > kMaxDepth) fail(fmt::format("values nested deeper than {} levels", kMaxDepth));
    open.erase(identity);
    depth_of.emplace(identity, deepest);
    return deepest;
  }

  static void clear(Value value) {
    if (value.is_list()) value.as_list().clear();
    if (value.is_tuple()) value.as_tuple().items.clear();
    if (value.is_dict()) value.as_dict() = Dict{};
  }

  const std::string_view bytes_;
  const StorageLoader& load_;
  std::size_t at_ = 0;
  std::size_t opcode_at_ = 0;
  bool finished_ = false;
  std::vector<Item> stack_;
  std::unordered_map<std::uint64_t, Item> memo_;
  std::unordered_map<std::string, c10::Storage> storages_;
  std::vector<Value> containers_;
  std::size_t spent_ = 0;
  std::optional<StorageRef> pending_storage_;  // first argument of the tensor being rebuilt
};

}  // namespace

Value unpickle(std::string_view bytes, const StorageLoader& load) {
  return Unpickler(bytes, load).run();
}

}  // namespace lctl::checkpoint
