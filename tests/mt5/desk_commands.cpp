// Commands as the broker stage sends them, and what the broker's books say became of them.
#include "tests/mt5/desk.h"
#include "tools/simbroker/audit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace millrace::mt5::test {
namespace {

std::int64_t scaled(double v) {
    return std::llround(v * static_cast<double>(kScale));
}

}  // namespace

bridge::Command command_of(std::uint64_t intent, CommandType type) {
    bridge::Command command{};
    command.epoch = 1;
    command.magic = Magic::make(kTag, intent, 0).value;
    command.type = static_cast<std::uint8_t>(type);
    std::memcpy(command.symbol, "EURUSD", 6);
    return command;
}

bridge::Command open(std::uint64_t intent, double lots, Side side) {
    bridge::Command command = command_of(intent, CommandType::Open);
    command.volume = scaled(lots);
    command.side = static_cast<std::uint8_t>(side);
    return command;
}
bridge::Command pending(std::uint64_t intent, PriceKind kind, double price) {
    bridge::Command command = open(intent);
    command.price_kind = static_cast<std::uint8_t>(kind);
    command.price = scaled(price);
    return command;
}
bridge::Command close_of(std::uint64_t intent, std::uint64_t position) {
    bridge::Command command = command_of(intent, CommandType::Close);
    command.side = static_cast<std::uint8_t>(Side::Sell);
    command.position_ticket = position;
    return command;
}
bridge::Command modify_of(std::uint64_t intent, std::uint64_t position, double sl) {
    bridge::Command command = command_of(intent, CommandType::Modify);
    command.position_ticket = position;
    command.stop_loss = scaled(sl);
    return command;
}
bridge::Command cancel_of(std::uint64_t intent, std::uint64_t order) {
    bridge::Command command = command_of(intent, CommandType::Cancel);
    command.order_ticket = order;
    return command;
}

Booked booked(const TempDir& dir, std::uint64_t intent) {
    const auto audit = sim::audit_books(dir.path("books"), kTag);
    EXPECT_TRUE(audit.ok());
    Booked out;
    for (const sim::BookedIntent& one : audit.value().intents) {
        if (one.intent != intent) {
            continue;
        }
        out.doubled = one.doubled();
        for (const sim::BookedOrder& order : one.orders) {
            out.volume += order.executed.value;
            out.executions += order.deals > 0 ? 1U : 0U;
        }
    }
    return out;
}

}  // namespace millrace::mt5::test
