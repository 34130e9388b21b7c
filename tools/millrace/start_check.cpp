#include "tools/millrace/start_check.h"

#include <vector>

#include "persist/engine_recovery.h"
#include "persist/journal_reader.h"
#include "persist/log_version.h"
#include "tools/millrace/backlog.h"
#include "tools/millrace/table_sizes.h"

namespace millrace {
namespace {

class NullPort final : public OutputPort {
public:
    void order(const OrderCommand&) noexcept override {}
    void result(const SignalResult&) noexcept override {}
};

/// What the engine would refuse of `records`; empty if nothing that a start cannot do without.
std::string refused(Engine& engine, const std::vector<AdminRecord>& records) {
    NullPort port;
    for (const AdminRecord& record : records) {
        JournalRecord input;
        input.seq = Sequence{engine.seq().value + 1};
        input.time = engine.time();
        input.set_body(InputType::Admin, record);
        engine.apply(input, port);
        const Globals& g = engine.globals();
        if (g.admin_answer == AdminAnswer::TagInUse || g.admin_answer == AdminAnswer::LoginInUse) {
            return describe(record) + ": " + std::to_string(g.admin_detail.orders) + " orders, " +
                   std::to_string(g.admin_detail.positions) +
                   " positions: " + std::string{to_string(g.admin_answer)};
        }
    }
    return {};
}

}  // namespace

Capacity capacity_of(const Config& config, std::uint32_t accounts) {
    Capacity capacity;
    capacity.accounts = accounts;
    capacity.members = config.capacity.members;
    capacity.orders = config.capacity.orders;
    capacity.signals = config.capacity.ledger;
    return capacity;
}

namespace {

/// Of a log without a snapshot: what its first start wrote down. @return why not; empty = nothing.
std::string other_than_begun_with(const std::string& journal_dir, const Capacity& wanted) {
    std::string message;
    const auto begun = load_table_sizes(journal_dir, message);
    if (begun) {
        return other_capacity(begun.value(), wanted);
    }
    return begun.code() == Errc::NotFound ? "" : message;  // a directory of an older build
}

/// The segment's engine has these very records: the log is read for its version and sizes alone.
LogCheck look_through(const std::string& dir, const Capacity& wanted) {
    LogCheck found;
    std::string message;
    const auto log = read_log_version(dir, message);
    if (!log) {
        return found;
    }
    found.whole = true;
    found.end = log.value().last;
    found.refused = log.value().refused(dir);
    if (found.refused.empty() && found.end.value != 0) {
        found.refused = log.value().snapshot.value != 0
                            ? other_capacity(log.value().made_with, wanted)
                            : other_than_begun_with(dir, wanted);
    }
    return found;
}

/// True if there is a first record, or that cannot be told.
bool holds_records(const std::string& dir) {
    DirectorySource source{dir};
    std::string message;
    auto reader = JournalReader::open(source, Sequence{}, {}, message);
    return !reader || reader.value().next() != ReadStatus::End;
}

/// Brings an engine of our own to the log's end and asks it.
LogCheck ask_engine(const std::string& dir, const Capacity& wanted,
                    const std::vector<AdminRecord>& records) {
    LogCheck found;
    Engine engine{wanted};
    std::string message;
    auto read = load_state(dir, kWholeLog, engine, message);
    if (read && engine.seq() == Sequence{}) {
        // Before anything is applied in tables of another size.
        found.refused = other_than_begun_with(dir, wanted);
        if (!found.refused.empty() && holds_records(dir)) {
            return found;
        }
        found.refused.clear();
    }
    if (read) {
        read = replay_files(dir, kWholeLog, engine, message);
    }
    found.whole = read.ok();
    found.end = engine.seq();
    found.refused = read                              ? refused(engine, records)
                    : read.code() == Errc::BadVersion ? message
                                                      : "";
    return found;
}

}  // namespace

bool LogCheck::has_not_begun(const Segment& segment) const {
    return whole && end.value == 0 && last_journalled(segment) == Sequence{};
}

LogCheck check_log(const Config& config, const ConfigRecords& records, std::uint64_t engine_has) {
    const Capacity wanted = capacity_of(config, config.accounts_max);
    return engine_has == records.hash ? look_through(config.journal.dir, wanted)
                                      : ask_engine(config.journal.dir, wanted, records.records);
}

std::string begin_log(const Config& config) {
    std::string message;
    const auto saved =
        save_table_sizes(config.journal.dir, capacity_of(config, config.accounts_max), message);
    return saved ? std::string{} : message;
}

}  // namespace millrace
