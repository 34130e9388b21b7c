#include "persist/book_compare.h"

#include "shm/layout.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace millrace {
namespace {

std::int64_t with_sign(Side side, Lots volume) noexcept {
    return side == Side::Buy ? volume.value : -volume.value;
}

/// Works at the broker until its price comes.
bool rests(const Order& o) noexcept {
    return o.type == CommandType::Open && o.price_kind != PriceKind::Market &&
           (o.status == OrdStatus::New || o.status == OrdStatus::PartiallyFilled);
}

/// Something of it may be done that the books have not heard of.
bool is_on_its_way(const Order& o) noexcept {
    const bool market_works = !is_final(o.status) && !is_unknown(o.status) && !rests(o);
    return is_unanswered(o.status) || market_works || o.closed_early.value > 0;
}

class Comparer {
public:
    Comparer(const Engine& engine, AccountId account, std::span<const Holding> list)
        : engine_{engine},
          account_{account},
          list_{list},
          used_(list.size(), false),
          nets_{engine.account(account).spec.margin_mode == MarginMode::Netting} {}

    Comparison run() {
        each_order([this](const Order& o) {
            if (o.symbol.value < kSymbolsMax && is_on_its_way(o)) {
                out_.busy.set(o.symbol.value);
            }
        });
        if (nets_) {
            net_positions();
        }
        each_order([this](const Order& o) {
            if (o.type != CommandType::Open || is_busy(o.symbol)) {
                return;
            }
            if (o.open_volume.value > 0 && !nets_) {
                position(o);
            }
            if (rests(o)) {
                working(o);
            }
        });
        for (std::size_t i = 0; i < list_.size(); ++i) {
            if (!used_[i] && !is_busy(list_[i].symbol)) {
                left_over(list_[i]);
            }
        }
        return std::move(out_);
    }

private:
    template <class F>
    void each_order(F f) const {
        const auto& orders = engine_.orders();
        for (std::uint32_t i = engine_.account(account_).first_order; i != kNoId;
             i = orders[i].next_in_account) {
            f(orders[i]);
        }
    }
    [[nodiscard]] bool is_busy(SymbolId s) const {
        return s.value < kSymbolsMax && out_.busy.test(s.value);
    }
    [[nodiscard]] bool is_ours(const Holding& h) const {
        return h.magic.tag() == engine_.globals().risk.magic_tag && h.magic.intent() != 0;
    }
    /// The row that the books' `o` is: by the broker's number, or by ours where theirs is not
    /// known.
    const Holding* find(HoldingKind kind, std::uint64_t ticket, const Order& o) {
        for (std::size_t i = 0; i < list_.size(); ++i) {
            const Holding& h = list_[i];
            const bool same =
                ticket != 0 ? h.ticket == ticket : is_ours(h) && h.magic.intent() == o.intent;
            if (h.kind == kind && same && !used_[i]) {
                used_[i] = true;
                return &h;
            }
        }
        return nullptr;
    }
    [[nodiscard]] Difference about(DifferenceKind kind, SymbolId symbol) const {
        Difference d;
        d.kind = kind;
        d.account = account_;
        d.symbol = symbol;
        d.name = engine_.symbol(symbol).spec.name;
        return d;
    }
    [[nodiscard]] bool differs(Price a, Price b, SymbolId symbol) const {
        const std::int64_t tick =
            std::max<std::int64_t>(engine_.symbol(symbol).spec.tick_size.value, 1);
        return a != b && (a.value == 0 || b.value == 0 || std::abs(a.value - b.value) >= tick);
    }
    void stops(const Order& o, const Holding& h) {
        const bool price = h.kind == HoldingKind::Order && differs(h.price, o.price, o.symbol);
        if (!price && !differs(h.stop_loss, o.stop_loss, o.symbol) &&
            !differs(h.take_profit, o.take_profit, o.symbol)) {
            return;
        }
        Difference d = about(DifferenceKind::Stops, o.symbol);
        d.is_order = h.kind == HoldingKind::Order;
        d.ticket = h.ticket;
        d.at_broker = d.in_books = with_sign(h.side, h.volume);
        d.stops[0] = h.stop_loss;
        d.stops[1] = h.take_profit;
        d.book_stops[0] = o.stop_loss;
        d.book_stops[1] = o.take_profit;
        if (d.is_order) {
            d.prices[0] = h.price;
            d.prices[1] = o.price;
        }
        out_.found.push_back(d);
    }
    /// @param books what they say that the row `h` (nullptr: there is none) should be.
    /// @return true if it is so.
    bool volume(const Order& o, const Holding* h, std::uint64_t ticket, std::int64_t books) {
        const std::int64_t broker = h == nullptr ? 0 : with_sign(h->side, h->volume);
        if (broker == books) {
            return true;
        }
        Difference d =
            about(h == nullptr ? DifferenceKind::NotAtBroker : DifferenceKind::Volume, o.symbol);
        d.is_order = rests(o) && o.open_volume.value == 0;
        d.nets = nets_ && !d.is_order;
        d.ticket = h == nullptr ? ticket : h->ticket;
        d.at_broker = broker;
        d.in_books = books;
        out_.found.push_back(d);
        return false;
    }
    void position(const Order& o) {
        const Holding* h = find(HoldingKind::Position, o.position_id, o);
        if (volume(o, h, o.position_id, with_sign(o.side, o.open_volume))) {
            stops(o, *h);
        }
    }
    void working(const Order& o) {
        const Holding* h = find(HoldingKind::Order, o.order_ticket, o);
        // A modify of one that is filled in part goes to its position, not to what is left.
        if (volume(o, h, o.order_ticket, with_sign(o.side, o.volume - o.cum)) && o.cum.value == 0) {
            stops(o, *h);
        }
    }

    /// One position of a symbol, whoever has dealt. Its stops are those of whichever order came
    /// last, closed or not: the books cannot say which they should be.
    void net_positions() {
        struct Net {
            std::int64_t books = 0;
            const Order* one = nullptr;
        };
        std::vector<Net> nets(kSymbolsMax);
        each_order([&](const Order& o) {
            if (o.type == CommandType::Open && o.open_volume.value > 0) {
                nets[o.symbol.value].books += with_sign(o.side, o.open_volume);
                nets[o.symbol.value].one = &o;
            }
        });
        for (std::uint32_t s = 0; s < kSymbolsMax; ++s) {
            const Net& n = nets[s];
            if (n.one != nullptr && !out_.busy.test(s)) {
                volume(*n.one, position_of(SymbolId{s}), n.one->position_id, n.books);
            }
        }
    }
    const Holding* position_of(SymbolId symbol) {
        for (std::size_t i = 0; i < list_.size(); ++i) {
            if (list_[i].kind == HoldingKind::Position && list_[i].symbol == symbol && !used_[i]) {
                used_[i] = true;
                return &list_[i];
            }
        }
        return nullptr;
    }

    void left_over(const Holding& h) {
        Difference d;
        d.kind = is_ours(h) ? DifferenceKind::NotInBooks : DifferenceKind::Foreign;
        d.is_order = h.kind == HoldingKind::Order;
        // Whoever dealt first gave it its magic: that does not say whose it is now.
        d.nets = nets_ && !d.is_order;
        d.account = account_;
        d.symbol = h.symbol;
        d.name = h.symbol.value < kSymbolsMax ? engine_.symbol(h.symbol).spec.name : h.name;
        d.ticket = h.ticket;
        d.at_broker = with_sign(h.side, h.volume);
        out_.found.push_back(d);
    }

    const Engine& engine_;
    AccountId account_;
    std::span<const Holding> list_;
    std::vector<bool> used_;
    bool nets_;
    Comparison out_;
};

std::string number(std::int64_t scaled) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g",
                  static_cast<double>(scaled) / static_cast<double>(kScale));
    return text;
}

/// "BUY 0.1", "SELL 0.1" or "nothing".
std::string holding(std::int64_t lots) {
    if (lots == 0) {
        return "nothing";
    }
    return (lots > 0 ? "BUY " : "SELL ") + number(std::abs(lots));
}

std::string stops_text(const Difference& d, bool broker) {
    const Price* p = broker ? d.stops : d.book_stops;
    const std::string stops = number(p[0].value) + "/" + number(p[1].value);
    return d.is_order ? number(d.prices[broker ? 0 : 1].value) + "/" + stops : stops;
}

}  // namespace

bool is_same(const Difference& a, const Difference& b) noexcept {
    if (a.nets && b.nets) {
        return a.kind == b.kind && a.account == b.account && a.symbol == b.symbol &&
               a.name == b.name && a.ticket == b.ticket;
    }
    return a == b;
}

Comparison compare(const Engine& engine, AccountId account, std::span<const Holding> list) {
    return Comparer{engine, account, list}.run();
}

std::string text_of(const Difference& d) {
    const std::string name{d.name.bytes, strnlen(d.name.bytes, sizeof d.name.bytes)};
    const std::string what = "account " + std::to_string(d.account.value) + ": " + name +
                             (d.is_order ? " order " : " position ") + std::to_string(d.ticket);
    std::string text;
    switch (d.kind) {
        case DifferenceKind::NotInBooks:
            text = "ALERT " + what + (d.nets ? " was ours" : " is ours") + ": the broker has " +
                   holding(d.at_broker) + ", the books nothing. " +
                   (d.nets ? "All of it others'?" : "Close it by hand");
            break;
        case DifferenceKind::NotAtBroker:
            text = "ALERT " + what + ": the books have " + holding(d.in_books) +
                   ", the broker nothing. Its source has to be told";
            break;
        case DifferenceKind::Volume:
            text = "ALERT " + what + ": the broker has " + holding(d.at_broker) + ", the books " +
                   holding(d.in_books) +
                   (d.nets ? ". Is the rest others'?" : ". Deal the rest by hand");
            break;
        case DifferenceKind::Stops:
            text = "ALERT " + what + (d.is_order ? ": price/SL/TP " : ": SL/TP ") +
                   stops_text(d, true) + " at the broker, " + stops_text(d, false) +
                   " in the books: by hand? A modify sets both";
            break;
        case DifferenceKind::Foreign:
            text = what + " (" + holding(d.at_broker) + ") is not ours: it is left alone";
            break;
    }
    return text.substr(0, sizeof ErrorEntry::text - 1);
}

}  // namespace millrace
