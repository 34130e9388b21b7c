#include <fmt/core.h>

#include <algorithm>

#include "shm/segment.h"
#include "tools/explain/reason.h"
#include "tools/explain/show.h"
#include "tools/explain/words.h"
#include "tools/inspect/describe.h"

namespace millrace::explain {
namespace {

/// Bytes that would move a terminal's cursor are shown, not sent: names come from outside.
std::string shown(std::string text) {
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        c = (byte < 0x20 && c != '\n') || byte == 0x7F ? '?' : c;
    }
    return text;
}

const char* action_word(SignalAction a) {
    return command_word(static_cast<std::uint8_t>(a));
}

std::string priced(PriceKind kind, Price price) {
    switch (kind) {
        case PriceKind::Market: return "at market";
        case PriceKind::Limit: return "limit " + number(price.value);
        case PriceKind::Stop: return "stop " + number(price.value);
    }
    return "?";
}

std::string asked_for(const Signal& s, const Book& book) {
    std::string text = fmt::format("{} ", action_word(s.action));
    if (s.action == SignalAction::Open) {
        text += fmt::format("{} {} {} {}", side_word(s.side), number(s.volume.value),
                            book.symbol(s.symbol), priced(s.price_kind, s.price));
    } else {
        text += fmt::format("of {}, {}", id_text(s.target), book.symbol(s.symbol));
    }
    return text + fmt::format(", group {}, source {}", book.group(s.group), book.source(s.source));
}

void line(std::string& out, const char* what, const std::string& text) {
    out += fmt::format("  {:<10} {}\n", what, text);
}

void signal_record(std::string& out, const JournalRecord& r) {
    const auto s = r.as<Signal>();
    std::string received = fmt::format("{}, record {}", moment_text(r.time), r.seq.value);
    if (s.send_time.value > 0) {
        received += fmt::format(", {} after it was sent", span_text(r.time - s.send_time));
    }
    line(out, "received", received);
    line(out, "good for",
         span_text(millis(s.ttl_ms == 0 ? kDefaultTtlMs : s.ttl_ms)) +
             (s.ttl_ms == 0 ? " (it names no time of its own)" : ""));
    if (r.bid.value > 0 && r.ask.value > 0) {
        line(out, "price then",
             fmt::format("{}/{}{}", number(r.bid.value), number(r.ask.value),
                         s.reference_price.value == 0
                             ? ""
                             : ", reference " + number(s.reference_price.value)));
    } else {
        line(out, "price then", "none");
    }
}

void outcome(std::string& out, const SignalStory& signal) {
    const auto row = signal.rows.back().as<SignalRow>();
    const auto reason = static_cast<Reason>(row.reason);
    if (reason != Reason::None) {
        line(out, "REFUSED", fmt::format("{}: {}", to_string(reason), reason_words(reason)));
        for (const std::string& why : signal.why) {
            line(out, "", why);
        }
        return;
    }
    line(out, "accepted",
         fmt::format("{} orders: {} executed, {} not{}", row.accounts, row.filled, row.rejected,
                     row.done != 0 ? "; all ended " + moment_text(signal.rows.back().time)
                                   : "; not all have ended"));
}

void signal_block(std::string& out, const Story& story, const Book& book) {
    const SignalStory& signal = story.signal;
    out += "signal " + id_text(story.subject.signal);
    out += signal.sent.empty() ? "\n"
                               : ": " + asked_for(signal.sent.front().as<Signal>(), book) + "\n";
    if (!signal.sent.empty()) {
        signal_record(out, signal.sent.front());
    }
    if (!signal.rows.empty()) {
        outcome(out, signal);
    }
    if (signal.sent.size() > 1) {
        line(out, "sent again",
             fmt::format("{} times, last {}, record {}: answered as a duplicate, nothing was done",
                         signal.sent.size() - 1, moment_text(signal.sent.back().time),
                         signal.sent.back().seq.value));
    }
}

/// One line of an order's chain, to be put in order.
struct Line {
    std::uint64_t seq = 0;
    Nanos time;
    std::string word;
    std::vector<std::string> text;
};

/// Of an alert that no step of the order says.
std::string said_alone(const Effect& e, const Book& book) {
    const auto a = e.kind == EffectKind::Alert ? e.as<AlertRow>() : AlertRow{};
    if (a.code == AlertCode::StandbyTook) {
        return fmt::format("taken in place of account {}, which was {}", book.account(a.account),
                           to_string(static_cast<AccountState>(a.detail)));
    }
    if (a.code == AlertCode::LateClose) {
        return fmt::format("ALERT: executed after it had ended, deal {}; booked", a.detail);
    }
    return "";
}

std::vector<Line> chain_of(const OrderStory& order, const Book& book) {
    std::vector<Line> lines;
    const auto has = [&lines](Sequence seq) {
        return std::any_of(lines.begin(), lines.end(),
                           [seq](const Line& l) { return l.seq == seq.value; });
    };
    for (const Step& step : order.steps) {
        const auto row = step.row.as<OrderRow>();
        Line l{step.row.seq.value, step.row.time, std::string{to_string(row.status)}, {}};
        std::string cause =
            step.cause ? cause_text(*step.cause, book, &row) : "cause no longer known";
        if (row.status == OrdStatus::PendingNew) {
            cause += fmt::format("; sent, attempt {}, magic {}", row.attempts, row.magic.value);
        }
        l.text.push_back(cause);
        l.text.insert(l.text.end(), step.why.begin(), step.why.end());
        lines.push_back(std::move(l));
    }
    const OrderRow now = order.last();
    for (const JournalRecord& r : order.reports) {
        if (!has(r.seq)) {
            lines.push_back({r.seq.value, r.time, "-", {cause_text(r, book, &now)}});
        }
    }
    for (const Effect& e : order.deals) {
        const std::string said = said_alone(e, book);
        if (!said.empty()) {
            lines.push_back({e.seq.value, e.time, "-", {said}});
        }
        if (!said.empty() || has(e.seq)) {
            continue;
        }
        std::string text = "alert";
        if (e.kind == EffectKind::Execution) {
            const auto x = e.as<ExecutionRow>();
            text = fmt::format("deal {} {}: {} at {}", x.deal_ticket, x.entry == 0 ? "IN" : "OUT",
                               number(x.volume.value), number(x.price.value));
        } else if (e.as<AlertRow>().code == AlertCode::DuplicateExecution) {
            text = "ALERT: executed twice at the broker";
        }
        lines.push_back({e.seq.value, e.time, "-", {text}});
    }
    std::stable_sort(lines.begin(), lines.end(),
                     [](const Line& a, const Line& b) { return a.seq < b.seq; });
    return lines;
}

std::string headline(const OrderStory& order, const Book& book) {
    const OrderRow row = order.last();
    std::string text = "account " + book.account(order.account) + ": ";
    if (row.cum_volume.value > 0) {
        text += fmt::format("{} {} at {}", to_string(row.status), number(row.cum_volume.value),
                            number(row.avg_price.value));
    } else if (is_final(row.status) && row.status != OrdStatus::Filled) {
        text += fmt::format("not traded, {} {}", to_string(row.status),
                            to_string(static_cast<Reason>(row.reason)));
    } else {
        text += to_string(row.status);
    }
    return text + fmt::format(" (order {}, {} {} {} {})", order.intent, command_word(row.type),
                              side_word(row.side), number(row.volume.value),
                              book.symbol(row.symbol));
}

std::string day_of(Nanos time) {
    return moment_text(time).substr(0, 10);
}

/// @param day of the line before: lines give the time of day, and the day where it is another.
void order_block(std::string& out, const Story& story, const OrderStory& order, const Book& book,
                 std::string& day) {
    out += "\n" + headline(order, book) + "\n";
    if (!order.sized.empty()) {
        out += "  sized " + order.sized + "\n";
    }
    for (const Line& l : chain_of(order, book)) {
        if (day_of(l.time) != day) {
            day = day_of(l.time);
            out += fmt::format("  {:>8}  {}\n", "", day);
        }
        out += fmt::format("  {:>8}  {}  {:<16} {}\n", l.seq, clock_text(l.time), l.word,
                           l.text.empty() ? "" : l.text.front());
        for (std::size_t i = 1; i < l.text.size(); ++i) {
            out += fmt::format("  {:>44}{}\n", "- ", l.text[i]);
        }
    }
    if (order.left_out > 0) {
        out += fmt::format("  ({} entries in the middle are left out)\n", order.left_out);
    }
    if (const auto fix = story.account.remedies.find(order.intent);
        fix != story.account.remedies.end()) {
        out += "  IN DOUBT: " + fix->second + "\n";
    }
}

std::string event_text(const AccountEvent& e, const Book& book) {
    if (!e.is_effect) {
        return cause_text(e.record, book);
    }
    if (e.effect.kind == EffectKind::Account) {
        const auto a = e.effect.as<AccountRow>();
        return fmt::format("{}, link {}{}", to_string(a.state), to_string(a.link),
                           (a.permissions & 1) != 0 ? "" : ", the broker does not let it trade");
    }
    const auto a = e.effect.as<AlertRow>();
    static constexpr const char* kWords[] = {"?",
                                             "an order is IN_DOUBT",
                                             "EXECUTED TWICE",
                                             "suspended",
                                             "link down",
                                             "kill",
                                             "a trade that is not ours",
                                             "ledger full",
                                             "table full",
                                             "the executor's journal is another one",
                                             "a report about an order that nobody knows",
                                             "segment lost",
                                             "a record was skipped",
                                             "halted after losses",
                                             "no entries for a while, after 10024 three times",
                                             "not enough money, closes only",
                                             "filled far from its reference",
                                             "held for an hour, the market is closed",
                                             "like the one just before it"};
    static constexpr const char* kLater[] = {"no entries of a symbol, or of one side of it",
                                             "done in part",
                                             "a close of the engine's own came to nothing",
                                             "a close was executed after it had ended",
                                             "an entry went to its standby",
                                             "the broker takes no more"};
    constexpr auto kFirstLater = static_cast<std::size_t>(AlertCode::SymbolBlocked);
    const auto code = static_cast<std::size_t>(a.code);
    const char* word = code < std::size(kWords) ? kWords[code] : "?";
    if (code >= kFirstLater && code - kFirstLater < std::size(kLater)) {
        word = kLater[code - kFirstLater];
    }
    std::string text = std::string{"alert: "} + word;
    return a.magic.value == 0 ? text : text + fmt::format(", order {}", a.magic.intent());
}

void account_block(std::string& out, const Story& story, const Book& book) {
    const AccountStory& a = story.account;
    out += "account " + book.account(story.subject.account);
    if (a.last) {
        out += fmt::format(": {}, link {}; equity {}, balance {}", to_string(a.last->state),
                           to_string(a.last->link), number(a.last->equity.value),
                           number(a.last->balance.value));
    }
    out += "\n";
    for (const std::string& limit : a.limits) {
        line(out, "limit", limit);
    }
    for (const std::string& kill : a.kills) {
        line(out, "KILLED", kill);
    }
    for (const AccountEvent& e : a.events) {
        const Nanos time = e.is_effect ? e.effect.time : e.record.time;
        const Sequence seq = e.is_effect ? e.effect.seq : e.record.seq;
        out += fmt::format("  {:>8}  {}  {}\n", seq.value, moment_text(time), event_text(e, book));
    }
    if (a.left_out > 0) {
        out += fmt::format("  ({} events in the middle are left out)\n", a.left_out);
    }
    std::string day;
    const auto any = [&](bool ended) {
        return std::any_of(story.orders.begin(), story.orders.end(), [ended](const auto& o) {
            return is_final(o.second.last().status) == ended;
        });
    };
    const auto blocks = [&](bool ended) {
        for (const auto& [intent, order] : story.orders) {
            if (is_final(order.last().status) == ended) {
                order_block(out, story, order, book, day);
            }
        }
    };
    const char* const none =
        story.effects_cut ? "no order lives of those that changed since then" : "no order lives";
    out += fmt::format("\n{}\n", any(false) ? "orders that live:" : none);
    blocks(false);
    if (any(true)) {
        out += "\nthe latest that ended:\n";
        blocks(true);
    }
}

}  // namespace

std::string id_text(const SignalId& id) {
    return inspect::uuid_text(id);
}

std::string range_text(const LogRange& r) {
    return r.empty() ? "nothing"
                     : fmt::format("records {} to {}, {} to {}", r.first.value, r.last.value,
                                   moment_text(r.first_time), moment_text(r.last_time));
}

std::string story_text(const Story& story, const Book& book) {
    std::string out;
    if (story.subject.what == Subject::What::Account) {
        account_block(out, story, book);
    } else {
        signal_block(out, story, book);
        std::string day = story.signal.sent.empty() ? "" : day_of(story.signal.sent.front().time);
        for (const auto& [intent, order] : story.orders) {
            order_block(out, story, order, book, day);
        }
        for (const std::string& absent : story.signal.absent) {
            out += "\n" + absent + "\n";
        }
    }
    out += fmt::format("\nread: journal {}; effects to record {}\n", range_text(story.journal),
                       story.effects.last.value);
    for (const std::string& notice : story.notices) {
        out += "note: " + notice + "\n";
    }
    return shown(out);
}

}  // namespace millrace::explain
