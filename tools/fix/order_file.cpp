#include "tools/fix/order_file.h"

#include "core/crc32c.h"
#include "tools/simbroker/intent_journal.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace millrace::fix {
namespace {

// Well above what kOrdersMax of them take, or each start would write them all anew.
constexpr std::uint64_t kCompactAboveBytes = 32U << 20U;
// More than an executor's book holds: what is saved again after it was forgotten would count its
// fills once more.
constexpr std::size_t kOrdersMax = 32'768;
constexpr std::size_t kSymbolBytes = sizeof(bridge::Command::symbol);

}  // namespace

/// One line of the file. `net` is the position in the order's symbol after it.
struct OrderFile::Record {
    std::uint32_t crc = 0;  // of the bytes after this field
    std::uint32_t version = 1;
    std::int64_t net = 0;
    OrderState state{};
};

void OrderFile::apply(const Record& record) {
    const bridge::Command& command = record.state.command;
    net_[{command.symbol, strnlen(command.symbol, sizeof(command.symbol))}] = record.net;
    if (command.magic == 0) {
        return;  // the position alone
    }
    auto [at, fresh] = age_of_.try_emplace(command.magic, order_count_ + 1);
    order_count_ += fresh ? 1 : 0;
    // One that worked while thousands came and went is as young as its end: the book still has it,
    // and a report that comes late must find what was counted of it.
    if (const auto old = states_.find(at->second);
        old != states_.end() && old->second.over == 0 && record.state.over != 0) {
        states_.erase(old);
        at->second = ++order_count_;
    }
    states_[at->second] = record.state;
    // One that works for months must not keep all that came after it.
    for (auto oldest = states_.begin(); states_.size() > kOrdersMax && oldest != states_.end();) {
        if (oldest->second.over == 0) {
            ++oldest;
            continue;
        }
        age_of_.erase(oldest->second.command.magic);
        oldest = states_.erase(oldest);
    }
}

Status OrderFile::load(std::span<const std::byte> bytes) {
    static_assert(sizeof(Record) == 304 && std::has_unique_object_representations_v<Record>);
    std::size_t at = 0;
    for (; bytes.size() - at >= sizeof(Record); at += sizeof(Record)) {
        Record record;
        std::memcpy(&record, bytes.data() + at, sizeof(record));
        if (crc32c(bytes.subspan(at + sizeof(record.crc), sizeof(Record) - sizeof(record.crc))) !=
                record.crc ||
            record.version != 1) {
            break;
        }
        apply(record);
    }
    // One write a record: only the last one can be torn. More than that is damage.
    if (bytes.size() - at > sizeof(Record)) {
        return {Errc::BadChecksum, "order file: a record inside the file was changed"};
    }
    return file_.cut_to(at);
}

Result<OrderFile> OrderFile::open(const std::string& path) {
    OrderFile orders;
    orders.path_ = path;
    auto file = sim::AppendFile::open(path);
    if (!file) {
        return file.error();
    }
    orders.file_ = std::move(file).value();
    const auto bytes = orders.file_.read_all();
    if (!bytes) {
        return bytes.error();
    }
    if (const auto loaded = orders.load(bytes.value()); !loaded) {
        return loaded.error();
    }
    if (orders.file_.size() > kCompactAboveBytes) {
        if (const auto compacted = orders.compact(); !compacted) {
            return compacted.error();
        }
    }
    return orders;
}

std::size_t OrderFile::restore(OrderBook& book) const {
    std::size_t unknown = 0;
    for (const auto& [age, state] : states_) {
        unknown += book.restore(state).ok() ? 0 : 1;
    }
    return unknown;
}

std::uint64_t OrderFile::highest_intent() const noexcept {
    std::uint64_t highest = 0;
    for (const auto& [magic, age] : age_of_) {
        const std::uint64_t intent = Magic{magic}.intent();
        highest = intent < sim::kOwnIntents ? std::max(highest, intent) : highest;
    }
    return highest;
}

Status OrderFile::save(const OrderState& state) {
    const bridge::Command& command = state.command;
    const auto known = age_of_.find(command.magic);
    if (known != age_of_.end() &&
        std::memcmp(&states_.at(known->second), &state, sizeof(state)) == 0) {
        return ok_status();  // a status answer that says nothing new
    }
    if (file_.size() > 4 * kCompactAboveBytes) {
        if (const auto compacted = compact(); !compacted) {
            return compacted;
        }
    }
    const std::int64_t before = known == age_of_.end() ? 0 : states_.at(known->second).booked;
    const std::int64_t rise = state.booked - before;
    Record record;
    record.state = state;
    record.net = net_[{command.symbol, strnlen(command.symbol, sizeof(command.symbol))}] +
                 (static_cast<Side>(command.side) == Side::Buy ? rise : -rise);
    const auto bytes = std::as_bytes(std::span{&record, 1});
    record.crc = crc32c(bytes.subspan(sizeof(record.crc)));
    const auto s = file_.append(bytes);
    if (s) {
        apply(record);
    }
    return s;
}

Status OrderFile::compact() {
    const std::string next_path = path_ + ".next";
    std::remove(next_path.c_str());  // left by a death in the middle of this
    auto next = sim::AppendFile::open(next_path);
    if (!next) {
        return next.error();
    }
    const auto write = [&](const OrderState& state, std::int64_t net) {
        Record record;
        record.state = state;
        record.net = net;
        const auto bytes = std::as_bytes(std::span{&record, 1});
        record.crc = crc32c(bytes.subspan(sizeof(record.crc)));
        return next.value().append(bytes);
    };
    for (const auto& [age, state] : states_) {
        const char* symbol = state.command.symbol;
        if (const auto s = write(state, net_.at({symbol, strnlen(symbol, kSymbolBytes)})); !s) {
            return s;
        }
    }
    for (const auto& [symbol, net] : net_) {  // some may have no order left that is remembered
        OrderState position;
        std::memcpy(position.command.symbol, symbol.data(), symbol.size());
        if (const auto s = write(position, net); !s) {
            return s;
        }
    }
    if (const auto s = next.value().replace(next_path, path_); !s) {
        return s;
    }
    file_ = std::move(next).value();
    return ok_status();
}

}  // namespace millrace::fix
