#include "tools/explain/state.h"

#include <algorithm>
#include <vector>

#include "persist/log_version.h"

namespace millrace::explain {
namespace {

class NullPort final : public OutputPort {
public:
    void order(const OrderCommand& /*unused*/) noexcept override {}
    void result(const SignalResult& /*unused*/) noexcept override {}
};

/// A broken image must not cost all memory.
constexpr std::uint32_t kTableMost = 1U << 24;

bool is_sane(const Capacity& c) {
    return c.accounts != 0 && std::max({c.accounts, c.members, c.orders, c.signals}) <= kTableMost;
}

}  // namespace

LogState::LogState(std::unique_ptr<Engine> engine, SkipList skips)
    : engine_{std::move(engine)}, skips_{std::move(skips)} {}

std::unique_ptr<LogState> LogState::begin(const std::string& directory, Sequence at_most,
                                          Sequence log_begins, const Capacity& capacity,
                                          std::string& message) {
    auto skips = SkipList::load(directory, message);
    if (!skips) {
        return nullptr;
    }
    std::vector<std::string> bad;
    const auto snapshot = load_snapshot(directory, at_most, bad);
    if (!snapshot) {
        if (log_begins.value != 1) {
            message = "no snapshot is as old as record " + std::to_string(at_most.value) +
                      ", and the journal begins at " + std::to_string(log_begins.value);
            return nullptr;
        }
        return std::unique_ptr<LogState>{
            new LogState{std::make_unique<Engine>(capacity), std::move(skips).value()}};
    }
    return of_snapshot(directory, snapshot.value(), std::move(skips).value(), message);
}

std::unique_ptr<LogState> LogState::of_snapshot(const std::string& directory, const Snapshot& s,
                                                SkipList skips, std::string& message) {
    const std::string name = snapshot_name(s.at.seq);
    if (s.logic_version != logic_version()) {
        message = other_logic(directory + "/" + name, s.logic_version);
        return nullptr;
    }
    const Capacity made = image_capacity(s.image.data(), s.image.size());
    auto engine = is_sane(made) ? std::make_unique<Engine>(made) : nullptr;
    if (engine == nullptr || !engine->load(s.image.data(), s.image.size()).ok()) {
        message = directory + "/" + name + ": does not fit this build";
        return nullptr;
    }
    return std::unique_ptr<LogState>{new LogState{std::move(engine), std::move(skips)}};
}

std::unique_ptr<LogState> LogState::begin_at_oldest(const std::string& directory) {
    const auto all = list_snapshots(directory);
    for (const Sequence seq : all ? all.value() : std::vector<Sequence>{}) {
        std::string why;  // the next may do
        std::vector<std::string> bad;
        const auto snapshot = load_snapshot(directory, seq, bad);
        auto skips = SkipList::load(directory, why);
        if (!snapshot || !skips) {
            continue;
        }
        if (auto state = of_snapshot(directory, snapshot.value(), std::move(skips).value(), why)) {
            return state;
        }
    }
    return nullptr;
}

bool LogState::apply(const JournalRecord& record) {
    const Sequence at = engine_->seq();
    if (record.seq <= at) {
        return true;
    }
    const bool follows = record.seq.value == at.value + 1 || record.type == InputType::Jump;
    if (!follows || record.time < engine_->time() || !is_of_this_logic(record)) {
        return false;
    }
    NullPort port;
    skips_.apply(*engine_, record, port);
    return true;
}

}  // namespace millrace::explain
