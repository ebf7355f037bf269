#include "worker/trainer/checkpoint/pickle_reader.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>

#include "worker/trainer/checkpoint/opcodes.h"
#include "worker/trainer/checkpoint/pickle_cursor.h"
#include "worker/trainer/checkpoint/pickle_nesting.h"
#include "worker/trainer/checkpoint/pickle_tensors.h"
#include "worker/trainer/checkpoint/storage_types.h"

namespace lctl::checkpoint {
namespace {

// Things on the unpickler's stack that are no values.
struct Mark {};
struct Global {
  std::string module;
  std::string name;
};
using Item = std::variant<Value, Mark, Global, StorageRef>;

bool is_hashable(const Value& key) { return key.is_string() || key.is_int(); }

class Unpickler {
 public:
  Unpickler(std::string_view bytes, const StorageLoader& load) : cursor_(bytes), load_(load) {}

  ~Unpickler() {
    // A malformed file can tie containers into cycles; nothing that was not handed out may stay.
    if (finished_) return;
    for (const auto& value : containers_) clear(value);
  }

  Unpickler(const Unpickler&) = delete;
  Unpickler& operator=(const Unpickler&) = delete;

  Value run() {
    while (true) {
      const char op = cursor_.begin_instruction();
      if (op == opcode::kStop) break;
      step(op);
    }
    if (stack_.size() != 1) fail("the stack holds more than the result at STOP");
    Value result = pop_value();
    check_nesting(containers_, cursor_);
    finished_ = true;
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const { cursor_.fail(why); }

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
    if (slot > cursor_.size()) fail("a memo slot beyond any that the file could need");
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
    if (spent_ > (std::size_t{64} << 20) + 16 * cursor_.size()) {
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
    const StorageName name = storage_name(id, cursor_);
    auto found = storages_.find(name.key);
    if (found == storages_.end()) {
      found = storages_.emplace(name.key, load_(name.key, name.bytes())).first;
    }
    if (found->second.nbytes() != name.bytes()) {
      fail(fmt::format("storage {} is used with two sizes", name.key));
    }
    push(StorageRef{found->second, name.type, name.numel});
  }

  Value rebuild_tensor(const std::vector<Value>& arguments) {
    if (!pending_storage_.has_value()) fail("a malformed tensor");
    const StorageRef storage = *std::exchange(pending_storage_, std::nullopt);
    return Value(tensor_over(storage, arguments, cursor_));
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
        if (cursor_.take_little_endian(1) > 5) fail("a pickle protocol newer than 5");
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
        push(Value(
            static_cast<std::int64_t>(static_cast<std::int32_t>(cursor_.take_little_endian(4)))));
        return;
      case opcode::kBinInt1:
        push(Value(static_cast<std::int64_t>(cursor_.take_little_endian(1))));
        return;
      case opcode::kBinInt2:
        push(Value(static_cast<std::int64_t>(cursor_.take_little_endian(2))));
        return;
      case opcode::kLong1:
        push(Value(cursor_.take_long1()));
        return;
      case opcode::kBinFloat:
        push(Value(cursor_.take_double()));
        return;
      case opcode::kBinUnicode:
        push(Value(cursor_.take(static_cast<std::size_t>(cursor_.take_little_endian(4)))));
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
        std::string module = cursor_.take_line();
        std::string name = cursor_.take_line();
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
        remember(cursor_.take_little_endian(1));
        return;
      case opcode::kLongBinPut:
        remember(cursor_.take_little_endian(4));
        return;
      case opcode::kBinGet:
        recall(cursor_.take_little_endian(1));
        return;
      case opcode::kLongBinGet:
        recall(cursor_.take_little_endian(4));
        return;
      default:
        fail(fmt::format("the instruction 0x{:02x} is not part of plain data",
                         static_cast<unsigned>(static_cast<unsigned char>(op))));
    }
  }

  static void clear(Value value) {
    if (value.is_list()) value.as_list().clear();
    if (value.is_tuple()) value.as_tuple().items.clear();
    if (value.is_dict()) value.as_dict() = Dict{};
  }

  PickleCursor cursor_;
  const StorageLoader& load_;
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
