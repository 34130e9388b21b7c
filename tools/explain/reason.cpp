#include "tools/explain/reason.h"

#include <fmt/core.h>

#include <algorithm>

#include "shm/segment.h"
#include "tools/explain/guards.h"
#include "tools/explain/show.h"
#include "tools/explain/words.h"

namespace millrace::explain {
namespace {

using Lines = std::vector<std::string>;

constexpr std::int64_t kToken = 1'000'000'000;  // one request in the bucket's unit, as risk.cpp

const Account* account_of(const Decision& d) {
    const bool known = d.engine != nullptr && d.row.account.value < d.engine->account_count();
    return known ? &d.engine->account(d.row.account) : nullptr;
}
const AccountSpec* spec_of(const Decision& d) {
    const auto* known = d.standing->account(d.row.account);
    return known == nullptr ? nullptr : &known->spec;
}
/// The engine's own, where it is known: a log without a configuration of them goes by the defaults.
const RiskSpec* risk_of(const Decision& d) {
    const auto* known = d.standing->risk();
    return d.engine != nullptr ? &d.engine->globals().risk
           : known != nullptr  ? &known->spec
                               : nullptr;
}
GroupId group_of(const Decision& d) {
    return d.signal ? d.signal->group : GroupId{kNoId};
}
const Known<MemberSpec>* member_of(const Decision& d) {
    return d.standing->member(group_of(d), d.row.account);
}

std::string allowed_symbols(const MemberSpec& m, const Book& book) {
    std::string names;
    for (std::uint32_t i = 0; i < kSymbolsMax; ++i) {
        const bool allowed = (m.symbols[i / 64] >> (i % 64) & 1) != 0;
        const std::string name = book.ids().name_of(NameKind::Symbol, i);
        if (allowed && !name.empty()) {
            names += (names.empty() ? "" : ", ") + name;
        }
    }
    return names.empty() ? "none" : names;
}

void filtered(const Decision& d, Lines& out) {
    if (const auto* member = member_of(d); member != nullptr) {
        out.push_back(fmt::format("in group {} it takes: {}{}", d.book->group(group_of(d)),
                                  allowed_symbols(member->spec, *d.book), said_by(member->note)));
    }
}

void below_min(const Decision& d, Lines& out) {
    if (const auto* symbol = d.standing->symbol(d.row.symbol); symbol != nullptr) {
        out.push_back(fmt::format("{} lots; the least is {}", number(d.row.volume.value),
                                  number(symbol->spec.volume_min.value)));
    }
}

void no_price(const Decision& d, Lines& out) {
    if (!d.cause) {
        return;
    }
    const RiskSpec* risk = risk_of(d);
    if (d.cause->bid.value <= 0 || d.cause->ask.value <= 0) {
        out.push_back("no tick of " + d.book->symbol(d.row.symbol) + " stood in the table");
    } else if (risk != nullptr) {
        out.push_back(fmt::format("the last tick was {} old, {} are allowed",
                                  span_text(d.cause->time - d.cause->tick_time),
                                  span_text(Nanos{risk->tick_age_max_ns})));
    }
}

void collar(const Decision& d, Lines& out) {
    if (!d.cause || d.reference.value <= 0) {
        return;
    }
    const bool buys = d.row.side == Side::Buy;
    const Price now = buys ? d.cause->ask : d.cause->bid;
    const auto* symbol = d.standing->symbol(d.row.symbol);
    const RiskSpec* risk = risk_of(d);
    const bool own = symbol != nullptr && symbol->spec.collar.value > 0;
    const __int128 moved = static_cast<__int128>(std::abs(now.value - d.reference.value)) * kScale;
    std::string text = fmt::format("{} {}, reference {}: {} away", buys ? "ask" : "bid",
                                   number(now.value), number(d.reference.value),
                                   percent(static_cast<std::int64_t>(moved / d.reference.value)));
    if (own || risk != nullptr) {
        text += fmt::format("; the collar is {} ({})",
                            percent((own ? symbol->spec.collar : risk->collar).value),
                            own ? "the symbol's own" : "of the risk settings");
    }
    out.push_back(text);
}

void max_lots(const Decision& d, Lines& out) {
    const auto* symbol = d.standing->symbol(d.row.symbol);
    const AccountSpec* spec = spec_of(d);
    if (symbol != nullptr && d.row.volume > symbol->spec.volume_max) {
        out.push_back(fmt::format("{} lots; the symbol's most is {}", number(d.row.volume.value),
                                  number(symbol->spec.volume_max.value)));
    }
    if (spec != nullptr && spec->max_lots.value > 0 && d.row.volume > spec->max_lots) {
        out.push_back(fmt::format("{} lots; the account's max_lots is {}",
                                  number(d.row.volume.value), number(spec->max_lots.value)));
    }
}

void max_open(const Decision& d, Lines& out) {
    const Account* a = account_of(d);
    const AccountSpec* spec = spec_of(d);
    const std::string limit =
        spec == nullptr ? std::string{} : fmt::format("max_open_orders {}", spec->max_open_orders);
    if (a != nullptr) {
        out.push_back(fmt::format("{} live orders and {} open positions before it; {}",
                                  a->live_orders, a->open_positions, limit));
    } else if (!limit.empty()) {
        out.push_back(limit);
    }
}

/// As they were before it.
void limits(const Decision& d, Lines& out) {
    if (account_of(d) == nullptr) {
        return;
    }
    const AccountRisk& r = d.engine->account_risk(d.row.account);
    out.push_back(fmt::format("{} lots; {} positions of {} lots before it",
                              number(d.row.volume.value), r.positions, number(r.volume.value)));
    exposure_limits(r.limits, out);
}

void group_limits(const Decision& d, Lines& out) {
    if (d.engine == nullptr || group_of(d).value >= kGroupsMax) {
        return;
    }
    const GroupRisk& g = d.engine->group_risk(group_of(d));
    out.push_back(
        fmt::format("group {}: {} positions of {} lots before it; max_positions {}, "
                    "max_volume {}",
                    d.book->group(group_of(d)), g.positions, number(g.volume.value),
                    g.limits.max_positions, number(g.limits.max_volume.value)));
}

void symbol_limits(const Decision& d, Lines& out) {
    if (d.engine == nullptr || d.row.symbol.value >= kSymbolsMax) {
        return;
    }
    const SymbolRisk& s = d.engine->symbol_risk(d.row.symbol);
    out.push_back(
        fmt::format("{} {} lots; all accounts: {} positions, {} lots bought and {} sold before it; "
                    "max_positions {}, max_volume {}, max_net_volume {}",
                    side_word(d.row.side), number(d.row.volume.value), s.positions,
                    number(s.bought.value), number(s.sold.value), s.limits.max_positions,
                    number(s.limits.max_volume.value), number(s.limits.max_net_volume.value)));
}

void losses(const Decision& d, Lines& out) {
    if (account_of(d) == nullptr) {
        return;
    }
    const AccountRisk& r = d.engine->account_risk(d.row.account);
    out.push_back(
        fmt::format("equity {}, {}, {} (latest first); the day began with {}, the highest is {}",
                    number(r.samples[0].value), number(r.samples[1].value),
                    number(r.samples[2].value), number(r.day_start.value), number(r.peak.value)));
    loss_limits(r.limits, out);
    out.push_back("`millrace account resume " + d.book->account(d.row.account) +
                  "` measures anew from here; a daily loss ends with the account's day");
}

void slipped(const Decision& d, Lines& out) {
    if (account_of(d) != nullptr) {
        loss_limits(d.engine->account_risk(d.row.account).limits, out);
    }
    out.push_back("which one, says `millrace explain account " + d.book->account(d.row.account) +
                  "`; `millrace account resume` of it lets it trade again");
}

void rate(const Decision& d, Lines& out) {
    const AccountSpec* spec = spec_of(d);
    const Account* a = account_of(d);
    if (spec == nullptr) {
        return;
    }
    std::string text =
        fmt::format("rate {} a second, burst {}", spec->rate_per_second, spec->rate_burst);
    if (a != nullptr && d.cause) {
        const AccountRisk& risk = d.engine->account_risk(d.row.account);
        const std::int64_t milli =
            risk.rate_milli > 0 ? risk.rate_milli : std::int64_t{spec->rate_per_second} * 1000;
        const __int128 filled =
            static_cast<__int128>(d.cause->time.value - a->tokens_time.value) * milli / 1000 +
            a->tokens;
        const auto left = static_cast<double>(filled) / kToken;
        text += fmt::format("; {:.2f} of a request was left", std::min(left, 0.99));
        if (risk.rate_milli > 0) {
            text += fmt::format("; cut to {:.2f} a second after 10024 TOO_MANY_REQUESTS",
                                static_cast<double>(risk.rate_milli) / 1000);
        }
        if (risk.paused_until > d.cause->time) {
            text += "; no entries until " + moment_text(risk.paused_until) +
                    ": three such answers in a row";
        }
    }
    out.push_back(text);
}

void repeated(const Decision& d, Lines& out) {
    const AccountSpec* spec = spec_of(d);
    const Account* a = account_of(d);
    if (spec == nullptr) {
        return;
    }
    std::string text = fmt::format("duplicate_window_ms {}", spec->duplicate_window_ms);
    const RecentOrder* same = nullptr;  // the latest of them
    for (std::size_t i = 0; a != nullptr && i < std::size(a->recent); ++i) {
        const RecentOrder& r = a->recent[i];
        const bool like = r.symbol == d.row.symbol && r.side == d.row.side &&
                          r.volume == d.row.volume && r.time.value > 0;
        same = like && (same == nullptr || r.time > same->time) ? &r : same;
    }
    if (same != nullptr && d.cause) {
        text += fmt::format("; {} {} {} went {} before", side_word(same->side),
                            number(same->volume.value), d.book->symbol(same->symbol),
                            span_text(d.cause->time - same->time));
    }
    out.push_back(text);
}

/// An operator, or the broker by what it answered: whichever was last.
void who_stopped(const Decision& d, Lines& out) {
    const auto* set = d.standing->account_set(d.row.account);
    const RefusalNote* refusal = d.standing->refusal(d.row.account);
    const bool by_broker =
        refusal != nullptr && (set == nullptr || set->note.seq < refusal->note.seq);
    if (by_broker) {
        out.push_back(fmt::format("since the broker answered {}{}; `millrace account resume {}`",
                                  retcode_text(refusal->retcode, classify(refusal->retcode)),
                                  said_by(refusal->note), d.book->account(d.row.account)));
    } else if (set != nullptr) {
        out.push_back(fmt::format("set {}{}", to_string(set->spec.state), said_by(set->note)));
    }
}

void account_state(const Decision& d, Lines& out) {
    const Account* a = account_of(d);
    if (a != nullptr) {
        out.push_back(fmt::format("account {}, link {}{}", to_string(a->state), to_string(a->link),
                                  a->permitted ? "" : "; the broker lets this login not trade"));
    }
    if (a == nullptr || a->wanted != AccountState::Trading) {
        who_stopped(d, out);
    }
    if (const LinkNote* link = d.standing->link(d.row.account); link != nullptr && !link->up) {
        out.push_back("the link went down" + said_by(link->note));
    }
}

void killed(const Decision& d, Lines& out) {
    Standing::Scope scope{d.row.account, d.row.symbol, group_of(d),
                          d.signal ? d.signal->source : SourceId{kNoId}};
    for (const Known<KillCommand>& k : d.standing->kills_on(scope)) {
        AdminRecord r = AdminRecord::make(AdminOp::Kill, k.spec);
        out.push_back(admin_text(r, *d.book) + said_by(k.note));
    }
}

void paused(const Standing& standing, GroupId group, const Book& book, Lines& out) {
    if (const auto* set = standing.group_set(group); set != nullptr) {
        out.push_back(fmt::format("group {} {}{}", book.group(group), to_string(set->spec.state),
                                  said_by(set->note)));
    }
}

void expired(const Decision& d, Lines& out) {
    std::string text = "it was good until " + moment_text(d.row.deadline);
    if (d.signal) {
        text += fmt::format(
            ", {} after it was made",
            span_text(millis(d.signal->ttl_ms == 0 ? kDefaultTtlMs : d.signal->ttl_ms)));
    }
    out.push_back(text);
    if (d.before && d.cause) {
        out.push_back(fmt::format("{} for the last {} of it", to_string(d.before->status),
                                  span_text(d.cause->time - d.before_time)));
        account_state(d, out);
    }
}

/// Why it waits: HELD is no reason in itself.
void held(const Decision& d, Lines& out) {
    const bool retries = d.before && (d.before->status == OrdStatus::PendingNew ||
                                      d.before->status == OrdStatus::InDoubt);
    if (retries) {
        out.push_back(d.row.retcode != 0 && d.cause && d.cause->type == InputType::Report &&
                              d.cause->as<Report>().type == ReportType::Outcome
                          ? "waits for its next attempt, after " +
                                retcode_text(d.row.retcode, class_of(d.row.retcode, d.row))
                          : "waits for its next attempt: the last one was not executed, proven");
        return;
    }
    const Account* a = account_of(d);
    if (a != nullptr && a->state == AccountState::Reconciling) {
        out.emplace_back("waits for the account, which is reconciled with its broker first");
        account_state(d, out);
    } else if (d.row.type != static_cast<std::uint8_t>(CommandType::Open)) {
        out.emplace_back(
            "waits until it is known what became of the order that it acts on, or of an earlier "
            "close of it");
    } else if (a == nullptr) {
        out.emplace_back(
            "waits for the account to be reconciled, or for an order of the same symbol that is "
            "IN_DOUBT");
    } else if (a->in_doubt > 0) {
        out.push_back(fmt::format(
            "waits: {} of the account's orders {} IN_DOUBT, and what it holds of {} is not known",
            a->in_doubt, a->in_doubt == 1 ? "is" : "are", d.book->symbol(d.row.symbol)));
    }
}

void in_doubt(const Decision& d, Lines& out) {
    if (!d.cause) {
        return;
    }
    if (d.cause->type == InputType::Timer) {
        const RiskSpec* risk = risk_of(d);
        out.push_back(risk == nullptr
                          ? std::string{"no answer in time; a time-out is not a failure"}
                          : fmt::format("no answer within {}; a time-out is not a failure",
                                        span_text(Nanos{risk->answer_timeout_ns})));
    } else if (d.cause->type == InputType::Report &&
               d.cause->as<Report>().type == ReportType::SessionDown) {
        out.emplace_back("the session ended before it was answered");
    } else if (d.before && d.before->magic.attempt() != d.row.magic.attempt()) {
        out.emplace_back(
            "that attempt came to nothing; the log that was lost may have made the next one, "
            "which is looked up too");
    }
}

void numbers(const Decision& d, Reason reason, Lines& out) {
    switch (reason) {
        case Reason::SymbolFiltered: filtered(d, out); break;
        case Reason::VolumeBelowMin: below_min(d, out); break;
        case Reason::NoPrice: no_price(d, out); break;
        case Reason::PriceCollar: collar(d, out); break;
        case Reason::MaxLots: max_lots(d, out); break;
        case Reason::MaxOpenOrders: max_open(d, out); break;
        case Reason::RateLimit: rate(d, out); break;
        case Reason::DuplicateOrder: repeated(d, out); break;
        case Reason::MaxPositions:
        case Reason::MaxVolume: limits(d, out); break;
        case Reason::GroupLimit: group_limits(d, out); break;
        case Reason::SymbolLimit: symbol_limits(d, out); break;
        case Reason::DailyLoss:
        case Reason::Drawdown: losses(d, out); break;
        case Reason::Slippage: slipped(d, out); break;
        case Reason::AccountNotTrading:
        case Reason::ReduceOnly: account_state(d, out); break;
        case Reason::Killed: killed(d, out); break;
        case Reason::GroupPaused: paused(*d.standing, group_of(d), *d.book, out); break;
        case Reason::Expired: expired(d, out); break;
        case Reason::MarketClosed:
            if (d.row.status == OrdStatus::Expired) {  // it was held
                expired(d, out);
            }
            break;
        case Reason::RetriesExhausted:
            out.push_back(fmt::format("{} attempts", d.row.attempts));
            break;
        default: break;
    }
    guard_numbers(d, reason, out);
}

std::string by_equity(const Decision& d, const MemberSpec& m) {
    const Account* a = account_of(d);
    const auto* symbol = d.standing->symbol(d.row.symbol);
    std::string text = fmt::format("equity {} x {}", a == nullptr ? "?" : number(a->equity.value),
                                   number(m.value));
    if (symbol != nullptr && d.cause && d.signal) {
        const Price market = d.row.side == Side::Buy ? d.cause->ask : d.cause->bid;
        const Price px = d.signal->price.value != 0 ? d.signal->price : market;
        text += fmt::format(" / (price {} x contract {})", number(px.value),
                            number(symbol->spec.contract_size));
    }
    return text;
}

}  // namespace

std::vector<std::string> why(const Decision& d) {
    Lines out;
    const auto reason = static_cast<Reason>(d.row.reason);
    if (reason != Reason::None && is_final(d.row.status)) {
        out.emplace_back(reason_words(reason));
        numbers(d, reason, out);
    } else if (d.row.status == OrdStatus::Held) {
        held(d, out);
    } else if (d.row.status == OrdStatus::InDoubt) {
        in_doubt(d, out);
    } else if (d.row.status == OrdStatus::Canceled && d.row.cum_volume.value > 0) {
        out.emplace_back("done in part; the rest was not to be had");
    }
    return out;
}

std::vector<std::string> why_refused(Reason reason, const JournalRecord& record,
                                     const Standing& standing, const Book& book) {
    Lines out;
    const auto s = record.as<Signal>();
    const Nanos made = s.send_time.value > 0 ? s.send_time : record.time;
    const auto* known = standing.risk();
    const RiskSpec* risk = known == nullptr ? nullptr : &known->spec;
    switch (reason) {
        case Reason::GroupPaused: paused(standing, s.group, book, out); break;
        case Reason::Expired:
            out.push_back(fmt::format("it was good for {}, and {} old when it came",
                                      span_text(millis(s.ttl_ms == 0 ? kDefaultTtlMs : s.ttl_ms)),
                                      span_text(record.time - made)));
            break;
        case Reason::StaleSignal:
            out.push_back(fmt::format(
                "it is stamped {}{}", moment_text(s.send_time),
                risk == nullptr
                    ? ""
                    : "; ids are remembered for " + span_text(Nanos{risk->ledger_window_ns})));
            break;
        case Reason::UnknownTarget: out.push_back("signal " + id_text(s.target)); break;
        default: break;
    }
    return out;
}

std::string sized_by(const Decision& d) {
    const auto* member = member_of(d);
    if (d.row.type != static_cast<std::uint8_t>(CommandType::Open) || member == nullptr ||
        !d.signal) {
        return {};
    }
    const MemberSpec& m = member->spec;
    std::string rule;
    switch (m.sizing) {
        case SizingMode::Fixed: rule = fmt::format("fixed {}", number(m.value)); break;
        case SizingMode::Multiplier:
            rule = fmt::format("signal {} x {}", number(d.signal->volume.value), number(m.value));
            break;
        case SizingMode::EquityShare: rule = by_equity(d, m); break;
    }
    const auto* symbol = d.standing->symbol(d.row.symbol);
    const std::string step =
        symbol == nullptr ? ""
                          : fmt::format(", in steps of {}", number(symbol->spec.volume_step.value));
    return fmt::format("{} = {}{}{}", number(d.row.volume.value), rule, step,
                       member->note.seq.value == 0 ? " (as configured now)" : "");
}

std::string remedy(const OrderRow& row, bool link_up, const std::string& account) {
    const std::string by_hand = fmt::format(
        "or say what the broker has of it: `millrace resolve {} --filled VOLUME@PRICE` or "
        "`--rejected`",
        row.magic.value);
    return link_up ? "it is looked up by its id every 30 s; an answer that proves it ends the "
                     "doubt, " +
                         by_hand
                   : "account " + account +
                         " is not linked: when its terminal is back it is looked up by its id; " +
                         by_hand;
}

}  // namespace millrace::explain
