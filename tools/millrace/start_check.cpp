#include "tools/millrace/start_check.h"

#include <algorithm>
#include <vector>

#include "persist/engine_recovery.h"
#include "persist/journal_reader.h"
#include "persist/snapshot_file.h"

namespace millrace {
namespace {

class NullPort final : public OutputPort {
public:
    void order(const OrderCommand&) noexcept override {}
    void result(const SignalResult&) noexcept override {}
};

/// Sizes that the newest snapshot was made with; all 0 if there is none that can be read.
Capacity made_with(const std::string& journal_dir) {
    std::vector<std::string> bad;
    const auto newest = load_snapshot(journal_dir, kWholeLog, bad);
    return newest ? image_capacity(newest.value().image.data(), newest.value().image.size())
                  : Capacity{0, 0, 0, 0};
}

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

std::string unfit_for_journal(const Config& config, const ConfigRecords& records,
                              std::uint64_t engine_has) {
    const std::string& dir = config.journal.dir;
    const Capacity wanted = capacity_of(config, config.accounts_max);
    if (engine_has == records.hash) {
        const Capacity made = made_with(dir);
        return made.accounts == 0 ? "" : other_capacity(made, wanted);
    }
    Engine engine{wanted};
    std::string message;
    const auto loaded = load_state(dir, kWholeLog, engine, message);
    if (!loaded) {
        return loaded.code() == Errc::BadVersion ? message : "";
    }
    return replay_files(dir, kWholeLog, engine, message) ? refused(engine, records.records) : "";
}

}  // namespace millrace
