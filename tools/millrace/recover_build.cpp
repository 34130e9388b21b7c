#include "tools/millrace/recover_build.h"

#include <algorithm>
#include <cstring>

#include "shm/clock.h"
#include "tools/millrace/config_records.h"
#include "tools/millrace/recover_files.h"
#include "tools/millrace/start_check.h"

namespace millrace {
namespace {

// Beyond whatever the lost log can have come to behind the store's cursor, and small beside what
// there is: 2^64 records, 2^45 orders, 2^32 epochs.
constexpr std::uint64_t kSeqMargin = std::uint64_t{1} << 40U;
constexpr std::uint64_t kIntentMargin = std::uint64_t{1} << 32U;
constexpr std::uint64_t kEpochMargin = std::uint64_t{1} << 16U;
constexpr std::int64_t kSecond = 1'000'000'000;
/// Room for clocks of sources that are ahead of ours.
constexpr std::int64_t kClocksApartNs = 2 * kSecond;
/// More ids of a kind than any store of ours has: a number that is damaged makes no book of that
/// size.
constexpr std::uint32_t kIdsMax = 1U << 20U;

Error fail(std::string& message, std::string text, Errc code = Errc::BadInput) {
    message = std::move(text);
    return {code, 0, "recover"};
}

/// Takes the effects into the new log, or nowhere.
class EffectsPort final : public OutputPort {
public:
    explicit EffectsPort(EffectsWriter* writer) : writer_{writer} {}
    void order(const OrderCommand&) noexcept override {}
    void result(const SignalResult&) noexcept override {}
    [[nodiscard]] bool effects_wanted() const noexcept override { return writer_ != nullptr; }
    void effect(const Effect& e) noexcept override { done_ = done_ ? writer_->append(e) : done_; }
    void end_of_record(const LogCursor& at) noexcept {
        done_ = done_ && writer_ != nullptr ? writer_->end_of_record(at) : done_;
    }
    [[nodiscard]] const Status& done() const noexcept { return done_; }

private:
    EffectsWriter* writer_;
    Status done_ = ok_status();
};

constexpr std::pair<char, NameKind> kKinds[] = {{'S', NameKind::Symbol},
                                                {'G', NameKind::Group},
                                                {'A', NameKind::Account},
                                                {'O', NameKind::Source}};

bool limits_losses(const AdminRecord& record) {
    const bool limits = record.op == AdminOp::DefineLimits;
    const LimitSpec spec = limits ? record.as<LimitSpec>() : LimitSpec{};
    return spec.daily() || spec.drawdown();
}

std::string text_of(const Text<16>& text) {
    return {text.bytes, ::strnlen(text.bytes, sizeof text.bytes)};
}

IdBook ids_of(const std::vector<DefinitionRow>& rows) {
    IdBook ids;
    for (const auto& [letter, kind] : kKinds) {
        std::vector<const DefinitionRow*> of_kind;
        for (const DefinitionRow& row : rows) {
            const bool ours = row.kind == letter && row.id < kIdsMax;
            if (ours && row.id >= of_kind.size()) {
                of_kind.resize(row.id + 1, nullptr);
            }
            if (ours) {
                of_kind[row.id] = &row;
            }
        }
        for (std::uint32_t id = 0; id < of_kind.size(); ++id) {
            const DefinitionRow* row = of_kind[id];
            const bool retired =
                row == nullptr || static_cast<GroupState>(row->state) == GroupState::Removed;
            ids.put_back(kind, id, row == nullptr ? "?" : text_of(row->name), retired);
        }
    }
    return ids;
}

/// The new log's first state, record by record.
class Builder {
public:
    Builder(const Config& config, const StoredState& stored)
        : stored_{stored}, engine_{capacity_of(config, config.accounts_max)} {
        at_.epoch = stored.cursor.epoch + kEpochMargin;
        at_.seq = Sequence{stored.cursor.seq.value + kSeqMargin};
        at_.chain = mix64(stored.cursor.chain ^ at_.seq.value);
        made_.epoch = at_.epoch;
        made_.next_intent = stored.intent + kIntentMargin;
        made_.instance = stored.instance;
        const std::int64_t now = std::max(wall_ns(), stored.latest.value);
        made_.from_s = static_cast<std::uint32_t>((now + kClocksApartNs) / kSecond + 1);
    }

    [[nodiscard]] Status build(const ConfigRecords& records, EffectsPort& port,
                               std::string& message) {
        for (const AdminRecord& record : records.records) {
            apply(record, port);
            made_.watches_losses = made_.watches_losses || limits_losses(record);
        }
        if (std::string lacks = lacking(); !lacks.empty()) {
            return fail(message, std::move(lacks));
        }
        set_states(port);
        Restored from;
        at_.seq.value += 1;
        from.at = at_.seq;
        from.from_s = made_.from_s;
        from.next_intent = made_.next_intent;
        from.signals = stored_.signals;
        from.orders = stored_.orders;
        const auto left_out = engine_.restore(from, port);
        if (!left_out) {
            return fail(message, stored_.where + ": " + left_out.error().what, left_out.code());
        }
        port.end_of_record(at_);
        made_.seq = at_.seq.value;
        made_.left_out = left_out.value();
        made_.signals = engine_.ledger().live();
        made_.live_orders = engine_.globals().live_orders;
        made_.open_positions = engine_.globals().open_positions;
        return port.done();
    }

    [[nodiscard]] Engine& engine() noexcept { return engine_; }
    [[nodiscard]] const LogCursor& at() const noexcept { return at_; }
    [[nodiscard]] const RecoveredJournal& made() const noexcept { return made_; }

private:
    void apply(const AdminRecord& record, EffectsPort& port) {
        JournalRecord input;
        input.seq = Sequence{++at_.seq.value};
        input.time = stored_.latest;
        input.set_body(InputType::Admin, record);
        engine_.apply(input, port);
        port.end_of_record(at_);
    }

    /// What the store's orders need and the configuration does not have; empty if nothing.
    [[nodiscard]] std::string lacking() const {
        for (const RestoredOrder& order : stored_.orders) {
            const OrderRow& row = order.row;
            if (row.magic.tag() != engine_.globals().risk.magic_tag) {
                return "the store's orders carry magic tag " + std::to_string(row.magic.tag()) +
                       ": set \"risk.magic_tag\" back to it";
            }
            const bool account =
                row.account.value < engine_.account_count() && engine_.account(row.account).defined;
            const bool symbol =
                row.symbol.value < kSymbolsMax && engine_.symbol(row.symbol).defined;
            if (!account || !symbol) {
                const char kind = account ? 'S' : 'A';
                const std::uint32_t id = account ? row.symbol.value : row.account.value;
                return std::string{"the configuration lacks the "} +
                       (account ? "symbol " : "account ") + name_of(kind, id) +
                       ", which has orders or positions: add it (accounts that were added at "
                       "run time lay in the journal directory)";
            }
        }
        return {};
    }

    [[nodiscard]] std::string name_of(char kind, std::uint32_t id) const {
        for (const DefinitionRow& row : stored_.definitions) {
            if (row.kind == kind && row.id == id) {
                return text_of(row.name);
            }
        }
        return "number " + std::to_string(id);
    }

    /// What operators had set; and what nobody knows any more is taken as the worse of the two.
    void set_states(EffectsPort& port) {
        for (const DefinitionRow& row : stored_.definitions) {
            if (row.kind == 'G' && static_cast<GroupState>(row.state) == GroupState::Paused) {
                apply(AdminRecord::make(AdminOp::SetGroup,
                                        GroupCommand{GroupId{row.id}, GroupState::Paused, {}}),
                      port);
            }
        }
        for (const AccountRow& row : stored_.accounts) {
            const auto known = standing_state(row);
            const AccountState state = known.value_or(AccountState::ReduceOnly);
            const std::string name = name_of('A', row.account.value);
            const bool stopped = state == AccountState::ReduceOnly;
            const bool closes = stopped || state == AccountState::Trading;
            if (closes && has_netting_position(row.account)) {
                // A close deals its side whatever is there: for a position that shrank since, it
                // would open the other side. Somebody has to look first.
                set_account(row.account, AccountState::Inactive, port);
                made_.paused.push_back({name, stopped});
                continue;
            }
            if (!known) {
                made_.unsure.push_back(name);
            }
            if (state != AccountState::Trading) {
                set_account(row.account, state, port);
            }
        }
        if (stored_.kill_used) {
            KillCommand kill;
            apply(AdminRecord::make(AdminOp::Kill, kill), port);
            made_.killed = true;
        }
    }

    void set_account(AccountId account, AccountState state, EffectsPort& port) {
        apply(AdminRecord::make(AdminOp::SetAccount, AccountCommand{account, state, {}}), port);
    }

    [[nodiscard]] bool has_netting_position(AccountId account) const {
        return account.value < engine_.account_count() &&
               engine_.account(account).spec.margin_mode == MarginMode::Netting &&
               std::any_of(
                   stored_.orders.begin(), stored_.orders.end(),
                   [&](const auto& o) {
                       return o.row.account == account && o.open_volume.value > 0;
                   });
    }

    const StoredState& stored_;
    Engine engine_;
    LogCursor at_;
    RecoveredJournal made_;
};

}  // namespace

Result<RecoveredJournal> build_journal(const Config& config, const StoredState& stored,
                                       bool dry_run, std::string& message) {
    if (stored.intent + kIntentMargin >= std::uint64_t{1} << Magic::kIntentBits ||
        stored.cursor.epoch + kEpochMargin >= std::uint64_t{1} << 32U) {
        return fail(message,
                    "there are no ids left beyond the lost ones: begin anew "
                    "(gateway/BRIDGE.md, \"Another directory\")");
    }
    IdBook ids = ids_of(stored.definitions);
    std::vector<Mistake> mistakes;
    const ConfigRecords records = make_config_records(config, ids, mistakes);
    if (!mistakes.empty()) {
        return fail(message, to_string(mistakes.front()));
    }
    Builder builder{config, stored};
    if (dry_run) {
        EffectsPort port{nullptr};
        const Status built = builder.build(records, port, message);
        return built ? Result<RecoveredJournal>{builder.made()} : built.error();
    }
    RecoverFiles files{config.journal.dir};
    if (auto begun = files.begin(message); !begun) {
        return begun.error();
    }
    auto effects =
        files.effects({stored.cursor.epoch, stored.cursor.seq, stored.cursor.chain}, message);
    if (!effects) {
        return effects.error();
    }
    EffectsPort port{&effects.value()};
    Status done = builder.build(records, port, message);
    done = done ? effects.value().sync() : done;
    const RecoveredJournal& made = builder.made();
    const Reserved reserved{builder.at().seq.value + 1, made.next_intent, made.instance};
    done = done ? files.write(builder.engine(), builder.at(), ids, reserved, message) : done;
    done = done ? files.move_into_place(message) : done;
    if (!done) {
        message = message.empty() ? config.journal.dir + ": " + done.error().what : message;
        return done.error();
    }
    return made;
}

}  // namespace millrace
