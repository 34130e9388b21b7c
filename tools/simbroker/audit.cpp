#include "tools/simbroker/audit.h"

#include "tools/market/decimal.h"
#include "tools/market/text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <set>
#include <tuple>
#include <unordered_map>

namespace millrace::sim {
namespace {

using IntentKey = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;  // login, tag, intent

class Auditor {
public:
    explicit Auditor(std::uint64_t tag) : tag_{tag} {}

    void visit(const BookRecord& record) {
        ++audit_.records;
        BookedAccount& account = audit_.accounts[record.login];
        account.login = record.login;
        switch (record.kind) {
            case BookKind::Account: account.balance = Money{record.balance}; return;
            case BookKind::Order: return visit_order(account, record);
            case BookKind::Deal: return visit_deal(account, record);
            case BookKind::OrderCanceled: return visit_cancel(account, record);
            case BookKind::Refused:
                ++account.refused;
                if (is_ours(record.magic)) {
                    ++intents_[key_of(record)].refused;
                }
                return;
            case BookKind::Repeated:
                if (is_ours(record.magic)) {
                    ++account.repeated;
                    ++intents_[key_of(record)].repeated;
                }
                return;
            case BookKind::OrderModified:
            case BookKind::PositionModified: return;
        }
    }

    Audit finish() {
        for (auto& [key, intent] : intents_) {
            std::tie(intent.login, intent.tag, intent.intent) = key;
            audit_.accounts[intent.login].doubled += intent.doubled() ? 1U : 0U;
            audit_.intents.push_back(std::move(intent));
        }
        for (const auto& [key, position] : positions_) {
            if (position.volume != 0) {
                ++audit_.accounts[position.login].open_positions;
                audit_.positions.push_back(position);
            }
        }
        for (const auto& [ticket, login] : working_) {
            ++audit_.accounts[login].working_orders;
        }
        return std::move(audit_);
    }

private:
    [[nodiscard]] bool is_ours(std::uint64_t magic) const noexcept {
        return magic != 0 && (tag_ == 0 || Magic{magic}.tag() == tag_);
    }

    static IntentKey key_of(const BookRecord& record) noexcept {
        const Magic magic{record.magic};
        return {record.login, magic.tag(), magic.intent()};
    }

    void complain(const BookRecord& record, const std::string& what) {
        audit_.inconsistent.push_back("record " + std::to_string(record.number) + ", account " +
                                      std::to_string(record.login) + ": " + what);
    }

    void visit_order(BookedAccount& account, const BookRecord& record) {
        ++account.orders;
        if (!order_tickets_.insert(record.order).second) {
            complain(record, "order ticket " + std::to_string(record.order) + " was used before");
        }
        if (record.price_kind != PriceKind::Market) {
            working_[record.order] = record.login;
        }
        if (!is_ours(record.magic)) {
            return;
        }
        BookedIntent& intent = intents_[key_of(record)];
        BookedOrder order;
        order.ticket = record.order;
        order.magic = Magic{record.magic};
        order.command = record.command;
        order.price_kind = record.price_kind;
        order.side = record.side;
        order.time_ns = record.time_ns;
        order.symbol = record.symbol;
        order.comment = record.comment;
        owner_[record.order] = key_of(record);
        intent.orders.push_back(order);
    }

    BookedOrder* order_of(std::uint64_t ticket) {
        const auto owner = owner_.find(ticket);
        if (owner == owner_.end()) {
            return nullptr;
        }
        auto& orders = intents_.at(owner->second).orders;
        const auto it = std::find_if(orders.begin(), orders.end(),
                                     [ticket](const BookedOrder& o) { return o.ticket == ticket; });
        return it == orders.end() ? nullptr : &*it;
    }

    void visit_deal(BookedAccount& account, const BookRecord& record) {
        ++account.deals;
        account.server_deals += record.reason != ExecKind::None ? 1U : 0U;
        account.foreign += is_ours(record.magic) ? 0U : 1U;
        working_.erase(record.order);
        if (!deal_tickets_.insert(record.deal).second) {
            complain(record, "deal ticket " + std::to_string(record.deal) + " was used before");
        }
        if (BookedOrder* order = order_of(record.order)) {
            const __int128 sum =
                static_cast<__int128>(order->average.value) * order->executed.value +
                static_cast<__int128>(record.price) * record.volume;
            order->executed = order->executed + Lots{record.volume};
            order->average = Price{static_cast<std::int64_t>(sum / order->executed.value)};
            order->position = record.position;
            ++order->deals;
        }
        add_to_position(record);
        account.balance = Money{account.balance.value + record.profit};
        if (account.balance.value != record.balance) {
            complain(record, "balance is not the sum of the profits of its deals");
        }
    }

    void add_to_position(const BookRecord& record) {
        BookedPosition& position = positions_[{record.login, record.position}];
        if (position.deals == 0) {
            position.login = record.login;
            position.id = record.position;
            position.magic = Magic{record.magic};
            position.symbol = record.symbol;
        } else if (position.symbol != record.symbol) {
            complain(record, "a deal of another symbol in position " + std::to_string(position.id));
        }
        ++position.deals;
        position.volume += record.side == Side::Buy ? record.volume : -record.volume;
        if (position.volume != record.position_volume) {
            complain(record, "position " + std::to_string(position.id) +
                                 " is not the signed sum of its deals");
        }
    }

    void visit_cancel(BookedAccount& account, const BookRecord& record) {
        static_cast<void>(account);
        working_.erase(record.order);
        if (BookedOrder* order = order_of(record.order)) {
            order->canceled = true;
        }
    }

    std::uint64_t tag_;
    Audit audit_;
    std::map<IntentKey, BookedIntent> intents_;
    std::unordered_map<std::uint64_t, IntentKey> owner_;  // order ticket -> intent
    std::map<std::pair<std::uint64_t, std::uint64_t>, BookedPosition> positions_;
    std::map<std::uint64_t, std::uint64_t> working_;  // pending ticket -> login
    std::set<std::uint64_t> order_tickets_;
    std::set<std::uint64_t> deal_tickets_;
};

const char* name_of(CommandType type) noexcept {
    switch (type) {
        case CommandType::Open: return "open";
        case CommandType::Close: return "close";
        case CommandType::Modify: return "modify";
        case CommandType::Cancel: return "cancel";
        case CommandType::Query: return "query";
        case CommandType::Resolve: return "resolve";
    }
    return "unknown";
}

const char* name_of(PriceKind kind) noexcept {
    switch (kind) {
        case PriceKind::Market: return "market";
        case PriceKind::Limit: return "limit";
        case PriceKind::Stop: return "stop";
    }
    return "unknown";
}

const char* name_of(Side side) noexcept {
    return side == Side::Buy ? "buy" : "sell";
}

std::string text_of(const Text<16>& text) {
    return std::string{market::view_of(text)};
}

nlohmann::json json_of(const BookedOrder& order) {
    return {{"order", order.ticket},
            {"magic", order.magic.value},
            {"attempt", order.magic.attempt()},
            {"command", name_of(order.command)},
            {"price_kind", name_of(order.price_kind)},
            {"side", name_of(order.side)},
            {"symbol", text_of(order.symbol)},
            {"comment", text_of(order.comment)},
            {"time_ns", order.time_ns},
            {"executed", market::format_decimal(order.executed.value)},
            {"average", market::format_decimal(order.average.value)},
            {"position", order.position},
            {"deals", order.deals},
            {"canceled", order.canceled}};
}

nlohmann::json json_of(const BookedIntent& intent) {
    nlohmann::json orders = nlohmann::json::array();
    for (const BookedOrder& order : intent.orders) {
        orders.push_back(json_of(order));
    }
    return {
        {"login", intent.login},     {"tag", intent.tag},           {"intent", intent.intent},
        {"refused", intent.refused}, {"repeated", intent.repeated}, {"doubled", intent.doubled()},
        {"orders", orders}};
}

}  // namespace

bool BookedIntent::doubled() const noexcept {
    // A pending that was placed took effect, filled or not; a market order did with its first deal.
    return std::count_if(orders.begin(), orders.end(), [](const BookedOrder& order) {
               return order.deals > 0 || order.price_kind != PriceKind::Market;
           }) > 1;
}

std::uint64_t Audit::doubled() const noexcept {
    return static_cast<std::uint64_t>(
        std::count_if(intents.begin(), intents.end(),
                      [](const BookedIntent& intent) { return intent.doubled(); }));
}

std::uint64_t Audit::repeated() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& [login, account] : accounts) {
        sum += account.repeated;
    }
    return sum;
}

Result<Audit> audit_books(const std::string& path, std::uint64_t tag) {
    const auto bytes = read_file(path);
    if (!bytes) {
        return bytes.error();
    }
    Auditor auditor{tag};
    const auto scanned =
        scan_books(bytes.value(), [&auditor](const BookRecord& record) { auditor.visit(record); });
    if (!scanned) {
        return scanned.error();
    }
    return auditor.finish();
}

std::string audit_json(const Audit& audit) {
    nlohmann::json root{
        {"records", audit.records}, {"doubled", audit.doubled()}, {"repeated", audit.repeated()}};
    root["accounts"] = nlohmann::json::array();
    root["intents"] = nlohmann::json::array();
    root["positions"] = nlohmann::json::array();
    root["inconsistent"] = audit.inconsistent;
    for (const auto& [login, a] : audit.accounts) {
        root["accounts"].push_back({{"login", login},
                                    {"orders", a.orders},
                                    {"deals", a.deals},
                                    {"server_deals", a.server_deals},
                                    {"refused", a.refused},
                                    {"foreign", a.foreign},
                                    {"open_positions", a.open_positions},
                                    {"working_orders", a.working_orders},
                                    {"doubled", a.doubled},
                                    {"repeated", a.repeated},
                                    {"balance", market::format_decimal(a.balance.value)}});
    }
    for (const BookedIntent& intent : audit.intents) {
        root["intents"].push_back(json_of(intent));
    }
    for (const BookedPosition& position : audit.positions) {
        root["positions"].push_back({{"login", position.login},
                                     {"position", position.id},
                                     {"magic", position.magic.value},
                                     {"symbol", text_of(position.symbol)},
                                     {"volume", market::format_decimal(position.volume)},
                                     {"deals", position.deals}});
    }
    return root.dump(2);
}

std::string audit_table(const Audit& audit) {
    std::string out =
        "     account   orders    deals  by server  refused  foreign  open  working  doubled"
        "  repeated         balance\n";
    for (const auto& [login, a] : audit.accounts) {
        char line[192];
        std::snprintf(
            line, sizeof line,
            "%12llu %8llu %8llu %10llu %8llu %8llu %5llu %8llu %8llu %9llu %15s\n",
            static_cast<unsigned long long>(login), static_cast<unsigned long long>(a.orders),
            static_cast<unsigned long long>(a.deals),
            static_cast<unsigned long long>(a.server_deals),
            static_cast<unsigned long long>(a.refused), static_cast<unsigned long long>(a.foreign),
            static_cast<unsigned long long>(a.open_positions),
            static_cast<unsigned long long>(a.working_orders),
            static_cast<unsigned long long>(a.doubled), static_cast<unsigned long long>(a.repeated),
            market::format_decimal(a.balance.value).c_str());
        out += line;
    }
    for (const BookedIntent& intent : audit.intents) {
        if (intent.doubled()) {
            out += "DOUBLED  account " + std::to_string(intent.login) + " intent " +
                   std::to_string(intent.intent) + ": " + std::to_string(intent.orders.size()) +
                   " orders, first " + std::to_string(intent.orders.front().ticket) + "\n";
        }
    }
    for (const BookedIntent& intent : audit.intents) {
        if (intent.repeated > 0) {
            out += "REPEATED  account " + std::to_string(intent.login) + " intent " +
                   std::to_string(intent.intent) + ": sent again " +
                   std::to_string(intent.repeated) + " times, not executed for it\n";
        }
    }
    for (const std::string& what : audit.inconsistent) {
        out += "INCONSISTENT  " + what + "\n";
    }
    return out;
}

Text<16> comment_of(SignalId id) noexcept {
    constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    // 80 bits: all of hi, then the upper 16 of lo; five bits a character.
    const unsigned __int128 bits = (static_cast<unsigned __int128>(id.hi) << 16) | (id.lo >> 48);
    Text<16> text;
    for (unsigned i = 0; i < 16; ++i) {
        text.bytes[i] = kAlphabet[static_cast<unsigned>(bits >> (75 - 5 * i)) & 31U];
    }
    return text;
}

}  // namespace millrace::sim
