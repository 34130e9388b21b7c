// Witnesses: a source, a broker and what they wrote down, made by hand for tests of the verdict.
#pragma once

#include <gtest/gtest.h>

#include "core/admin.h"
#include "tools/demo_run/verdict.h"
#include "tools/market/text.h"

namespace millrace::demo {

inline constexpr std::uint64_t kTag = RiskSpec{}.magic_tag;
inline constexpr std::uint64_t kLogin = 700'001;

/// A source, a broker and what they wrote down, with a clock in whole steps of 1 ms.
struct Witnesses {
    Lives lives;
    std::vector<AckLogEntry> log;
    Evidence books{kTag};
    Outages outages;
    std::uint64_t next_ticket = 1;
    std::int64_t now_ms = 1000;
    std::map<std::string, std::size_t> groups{{"all", 1}};
    bool log_was_lost = false;
    PriceKind price_kind = PriceKind::Market;  // of openings that are sent

    SignalRequest send(SignalAction action = SignalAction::Open, Purpose purpose = Purpose::Trade,
                       const SignalId& target = {}, Lots volume = Lots{kScale}) {
        SignalRequest r;
        r.target = target;
        r.price_kind = action == SignalAction::Open ? price_kind : PriceKind::Market;
        r.id = {0x1122334455667788 + static_cast<std::uint64_t>(now_ms), 0x99aabbccddeeff00};
        r.group = "all";
        r.symbol = "EURUSD";
        r.action = action;
        r.volume = volume;
        lives.sent(r, purpose, tick());
        return r;
    }
    void accept(const SignalRequest& r) {
        lives.accepted(r.id, tick());
        AckLogEntry entry;
        entry.kind = AckLogKind::Accepted;
        entry.request = r;
        log.push_back(entry);
    }
    void tell(const SignalRequest& r, std::uint64_t intent, OrdStatus status, Lots volume,
              Reason reason = Reason::None) {
        SignalResult result;
        result.kind = ResultKind::OrderDone;
        result.signal = r.id;
        result.account = AccountId{0};
        result.ord_status = static_cast<std::uint8_t>(status);
        result.reason = static_cast<std::uint16_t>(reason);
        result.cum_volume = volume;
        result.magic = Magic::make(kTag, intent, 0).value;
        lives.result(result, tick());
    }
    void done(const SignalRequest& r, std::uint32_t filled, std::uint32_t accounts = 1) {
        SignalResult result;
        result.kind = ResultKind::SignalDone;
        result.signal = r.id;
        result.accounts = accounts;
        result.filled = filled;
        result.rejected = accounts - filled;
        lives.result(result, tick());
    }
    /// @return the position.
    std::uint64_t execute(const SignalRequest& r, std::uint64_t intent, unsigned attempt = 0,
                          std::uint64_t tag = kTag, std::uint64_t login = kLogin) {
        sim::BookRecord order;
        order.kind = sim::BookKind::Order;
        order.login = login;
        order.magic = Magic::make(tag, intent, attempt).value;
        order.order = next_ticket++;
        order.command = CommandType::Open;
        order.comment = market::to_text<16>(comment_of(r.id));
        books.add(order);
        sim::BookRecord deal = order;
        deal.kind = sim::BookKind::Deal;
        deal.deal = next_ticket++;
        deal.volume = kScale;
        deal.time_ns = tick().value;
        deal.position = order.order;
        deal.position_volume = kScale;
        books.add(deal);
        return deal.position;
    }
    /// Some of a position is closed. @param left of it; @param reason None: by us.
    void close(const SignalRequest& r, std::uint64_t intent, std::uint64_t position, Lots volume,
               Lots left, ExecKind reason = ExecKind::None, std::uint64_t login = kLogin) {
        sim::BookRecord order;
        order.kind = sim::BookKind::Order;
        order.login = login;
        order.magic = Magic::make(kTag, intent, 0).value;
        order.order = next_ticket++;
        order.command = CommandType::Close;
        order.comment = market::to_text<16>(comment_of(r.id));
        books.add(order);
        sim::BookRecord deal = order;
        deal.kind = sim::BookKind::Deal;
        deal.reason = reason;
        deal.time_ns = tick().value;
        deal.position = position;
        deal.entry = sim::Entry::Out;
        deal.volume = volume.value;
        deal.position_volume = left.value;
        books.add(deal);
    }
    /// The books of a Modify or Cancel.
    void change(const SignalRequest& r, std::uint64_t intent, sim::BookKind kind,
                Price stop_loss = {}) {
        sim::BookRecord changed;
        changed.kind = kind;
        changed.login = kLogin;
        changed.magic = Magic::make(kTag, intent, 0).value;
        changed.command =
            r.action == SignalAction::Cancel ? CommandType::Cancel : CommandType::Modify;
        changed.stop_loss = stop_loss.value;
        books.add(changed);
    }
    /// A pending order comes to work at the broker. @return its ticket.
    std::uint64_t place(const SignalRequest& r, std::uint64_t intent, unsigned attempt = 0) {
        sim::BookRecord order;
        order.kind = sim::BookKind::Order;
        order.login = kLogin;
        order.magic = Magic::make(kTag, intent, attempt).value;
        order.order = next_ticket++;
        order.command = CommandType::Open;
        order.price_kind = PriceKind::Limit;
        order.time_ns = tick().value;
        order.comment = market::to_text<16>(comment_of(r.id));
        books.add(order);
        return order.order;
    }
    void take_back(std::uint64_t ticket) {
        sim::BookRecord canceled;
        canceled.kind = sim::BookKind::OrderCanceled;
        canceled.login = kLogin;
        canceled.order = ticket;
        canceled.time_ns = tick().value;
        books.add(canceled);
    }
    /// The broker's terminal is sent again what it has.
    void repeat(const SignalRequest& r, std::uint64_t intent, std::uint64_t tag = kTag) {
        sim::BookRecord again;
        again.kind = sim::BookKind::Repeated;
        again.login = kLogin;
        again.magic = Magic::make(tag, intent, 0).value;
        again.position_ticket = 7;
        again.command = CommandType::Open;
        again.comment = market::to_text<16>(comment_of(r.id));
        books.add(again);
    }
    /// All of a signal's life, as it should be.
    SignalRequest trade(std::uint64_t intent) {
        const SignalRequest r = send();
        accept(r);
        execute(r, intent);
        tell(r, intent, OrdStatus::Filled, Lots{kScale});
        done(r, 1);
        return r;
    }
    [[nodiscard]] Verdict verdict(bool market_may_refuse = false) const {
        return judge(
            {lives, log, books, outages, {{0, kLogin}}, market_may_refuse, groups, log_was_lost});
    }
    /// Nothing happens for a second.
    void pass() { now_ms += 1000; }
    Nanos tick() { return millis(++now_ms); }
};

inline std::string texts(const Verdict& v) {
    std::string all;
    for (const Problem& p : v.problems) {
        all += std::string{to_string(p.wrong)} + ": " + p.text + "\n";
    }
    return all;
}

}  // namespace millrace::demo
