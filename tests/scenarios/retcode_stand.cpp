#include "tests/scenarios/retcode_stand.h"

namespace millrace::test {
namespace {

constexpr Capacity kRoom{1, 4, 64, 128};
constexpr std::uint64_t kChildren = 1000;  // signals of closes, modifies and cancels

SignalAction action_of(Kind k) {
    switch (k) {
        case Kind::Close: return SignalAction::Close;
        case Kind::Modify: return SignalAction::Modify;
        case Kind::Cancel: return SignalAction::Cancel;
        default: return SignalAction::Open;
    }
}

}  // namespace

RetcodeStand::RetcodeStand(Kind kind, Stand stand) : rig_{kRoom} {
    rig_.world();
    rig_.number_events = false;
    rig_.want_effects = false;
    make_parents(kind);
    make(kind, stand);
    rig_.engine.save(image_);
    rig_.log.clear();  // from here on the engine goes back and forth in time
    put_back();
}

/// Closes need positions, modifies and cancels pending orders.
void RetcodeStand::make_parents(Kind kind) {
    if (kind == Kind::Market || kind == Kind::Pending) {
        return;
    }
    for (std::uint64_t n = 1; n <= kOrders; ++n) {
        const bool position = kind == Kind::Close;
        rig_.signal(position ? rig_.open(n) : rig_.pending(n, PriceKind::Limit, points(109'000)));
        parents_.push_back(rig_.only_order());
        const OrderCommand& c = parents_.back();
        rig_.report(position ? rig_.outcome(c, retcode::kDone, c.volume)
                             : rig_.outcome(c, retcode::kPlaced));
    }
}

void RetcodeStand::make(Kind kind, Stand stand) {
    if (stand == Stand::Held) {
        rig_.session_down(0);
    }
    std::vector<OrderCommand> sent;
    for (std::uint32_t n = 0; n < kOrders; ++n) {
        Signal s = kind == Kind::Pending ? rig_.pending(n + 1, PriceKind::Limit, points(109'000))
                                         : rig_.open(n + 1);
        if (kind != Kind::Market && kind != Kind::Pending) {
            s = rig_.change(kChildren + n, action_of(kind), n + 1);
            s.stop_loss = kind == Kind::Modify ? points(105'000) : Price{};
        }
        rig_.signal(s);
        Place& p = places_[n];
        if (stand == Stand::Held) {
            const std::uint64_t intent = rig_.engine.globals().next_intent - 1;
            p.magic = Magic::make(rig_.engine.globals().risk.magic_tag, intent, 0);
        } else {
            sent.push_back(rig_.only_order());
            p.magic = sent.back().magic;
        }
        p.position = 1'000'000 + (parents_.empty() ? p.magic : parents_[n].magic).intent();
    }
    for (const OrderCommand& c : sent) {  // all are sent: one in doubt would hold the others back
        bring(c, kind, stand);
    }
    for (Place& p : places_) {
        for (std::uint32_t i = 0; i < rig_.engine.orders().used(); ++i) {
            const bool live = rig_.engine.orders().is_live(i);
            p.index = live && rig_.engine.orders()[i].intent == p.magic.intent() ? i : p.index;
        }
    }
}

/// From PENDING_NEW to where it shall stand.
void RetcodeStand::bring(const OrderCommand& c, Kind kind, Stand stand) {
    constexpr std::uint32_t kFrozen = 10029;
    const bool deals = kind == Kind::Market || kind == Kind::Close;
    switch (stand) {
        case Stand::Retry: rig_.report(rig_.outcome(c, kFrozen)); break;
        case Stand::Doubted: rig_.report(rig_.outcome(c, retcode::kTimeout)); break;
        case Stand::Working: rig_.report(rig_.outcome(c, retcode::kPlaced)); break;
        case Stand::PartDone:
            rig_.report(rig_.outcome(c, retcode::kPlaced));
            rig_.report(rig_.exec(c, ExecKind::PendingFilled, centi(4), ++deal_));
            break;
        case Stand::Over:
            rig_.report(kind == Kind::Pending
                            ? rig_.outcome(c, retcode::kReject)
                            : rig_.outcome(c, retcode::kDone, deals ? c.volume : Lots{}));
            break;
        default: break;
    }
    static_cast<void>(rig_.take_orders());  // look-ups
}

Standing RetcodeStand::standing(const Place& p) const {
    if (p.index == kNoId || !rig_.engine.orders().is_live(p.index) ||
        rig_.engine.orders()[p.index].intent != p.magic.intent()) {
        return {};
    }
    const Order& o = rig_.engine.orders()[p.index];
    return {true, o.status, o.reason, o.retrying, o.cum};
}

void RetcodeStand::give(Word word, std::uint32_t code) {
    if (next_ == kOrders) {
        const Status loaded = rig_.engine.load(image_.data(), image_.size());
        ASSERT(loaded.ok());
        next_ = 0;
    }
    const Place& p = places_[next_++];
    before = standing(p);
    Report r = rig_.from(0, word == Word::Found ? ReportType::QueryFound : ReportType::Outcome);
    r.magic = word == Word::Older ? Magic{p.magic.value + 1} : p.magic;
    r.retcode = code;
    r.ord_status =
        static_cast<std::uint8_t>(word == Word::Found ? OrdStatus::Rejected : OrdStatus::Filled);
    r.volume = word == Word::Part ? centi(4) : word == Word::All ? centi(10) - before.cum : Lots{};
    r.price = rig_.ask;
    r.symbol = SymbolId{0};
    r.order_ticket = 1'000'000 + p.magic.intent();
    r.position_id = p.position;
    r.deal_ticket = r.volume.value > 0 ? ++deal_ : 0;
    r.time = rig_.now;
    JournalRecord record = rig_.next();
    record.set_body(InputType::Report, r);
    rig_.orders.clear();
    rig_.results.clear();
    const std::uint64_t doubles_before = rig_.engine.globals().duplicate_executions;
    rig_.engine.apply(record, rig_);
    after = standing(p);
    for (const SignalResult& told : rig_.results) {
        if (told.kind == ResultKind::OrderDone) {
            after = {true, static_cast<OrdStatus>(told.ord_status),
                     static_cast<Reason>(told.reason), false, told.cum_volume};
        }
    }
    orders = rig_.orders.size();
    ends = rig_.count(ResultKind::OrderDone);
    doubts = rig_.count(ResultKind::OrderInDoubt);
    doubles = rig_.engine.globals().duplicate_executions - doubles_before;
    volume = r.volume;
}

}  // namespace millrace::test
