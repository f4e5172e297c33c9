// Which operators exist: the ones under operators/, and a user's own.
#pragma once
#include <functional>
#include <map>
#include <memory>

#include "framework/graph/operator.h"
#include "framework/graph/params.h"

namespace throng::graph {

/// What is known of an operator without making one.
struct OperatorInfo {
  std::string name, summary;
  Shape shape = Shape::kMap;
  int version = 1;  ///< part of the step key: raise it when results change
  size_t min_inputs = 1, max_inputs = 1;
  bool learns = false;
  /// Collective: whether `throng apply` goes through it with these parameters; those that learn do (but P::replayed may say otherwise), and those that use what was learned (kReplayed). Empty: never.
  std::function<bool(const Value& params)> replayed;
  std::vector<FieldInfo> fields;
  /// Makes the operator; faults in the parameters are added and nullptr may come back.
  std::function<std::unique_ptr<Operator>(const Value& params, const Place& place, Faults& faults)> make;
  /// Fills defaults in, so that equal steps have equal texts.
  std::function<Value(const Value& params)> complete;
};

class Registry {
 public:
  /// Registers parameter struct `P` (kOp, kSummary, fields(), optional kVersion, kMinInputs, kMaxInputs, kLearns, kReplayed, replayed()), implemented by
  /// `Impl`, which is constructed from a P.
  template <class P, class Impl>
  void add() {
    OperatorInfo info = describe<P>();
    if constexpr (std::is_base_of_v<SourceOperator, Impl>) info.shape = Shape::kSource, info.min_inputs = info.max_inputs = 0;
    if constexpr (std::is_base_of_v<KeyedOperator, Impl>) info.shape = Shape::kKeyed;
    if constexpr (std::is_base_of_v<CollectiveOperator, Impl>) {
      info.shape = Shape::kCollective;
      if constexpr (requires { P::kLearns; }) info.learns = P::kLearns, info.replayed = [](const Value&) { return P::kLearns; };
      if constexpr (requires { P::kReplayed; }) info.replayed = [](const Value&) { return P::kReplayed; };
      if constexpr (requires(P p) { p.replayed(); })
        info.replayed = [](const Value& v) {
          Faults ignored;
          return read_params<P>(v, {}, ignored).replayed();
        };
    }
    info.make = maker<P>([](P params) -> std::unique_ptr<Operator> { return std::make_unique<Impl>(std::move(params)); });
    insert(std::move(info));
  }
  /// For an operator whose shape follows from its parameters: `make` returns a map or keyed operator; `shape` is for the reference.
  template <class P, class Make>
  void add_variants(Shape shape, Make make) {
    OperatorInfo info = describe<P>();
    info.shape = shape;
    info.make = maker<P>(std::move(make));
    insert(std::move(info));
  }

  /// nullptr when there is no such operator.
  const OperatorInfo* find(const std::string& name) const;
  std::vector<std::string> names() const;

 private:
  template <class P>
  static OperatorInfo describe() {
    OperatorInfo info;
    info.name = P::kOp;
    info.summary = P::kSummary;
    if constexpr (requires { P::kVersion; }) info.version = P::kVersion;
    if constexpr (requires { P::kMinInputs; }) info.min_inputs = P::kMinInputs;
    if constexpr (requires { P::kMaxInputs; }) info.max_inputs = P::kMaxInputs;
    info.fields = field_infos<P>();
    info.complete = [](const Value& v) {
      Faults ignored;
      return write_params(read_params<P>(v, {}, ignored));
    };
    return info;
  }
  template <class P, class Make>
  static auto maker(Make make) {
    return [make = std::move(make)](const Value& v, const Place& place, Faults& faults) -> std::unique_ptr<Operator> {
      size_t before = faults.size();
      P params = read_params<P>(v, place, faults);
      if (faults.size() > before) return nullptr;
      return make(std::move(params));
    };
  }
  void insert(OperatorInfo info);
  std::map<std::string, OperatorInfo> operators_;
};

/// Generated: calls every register_NAME of operators/.
void register_all_operators(Registry& registry);
/// The operators of this process: the built-in ones, and those of loaded plugins.
Registry& registry();
/// Loads a shared library that defines `extern "C" void throng_register(throng::graph::Registry&)`.
void load_plugin(const std::string& path);

}  // namespace throng::graph
