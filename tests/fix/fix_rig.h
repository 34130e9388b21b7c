// A FIX venue in text: messages written with | for SOH, sealed with BodyLength and CheckSum, taken
// in by an OrderBook; what it tells the engine comes back as one line to compare.
#pragma once

#include "gateway/fix/order_book.h"
#include "tests/covers.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

namespace millrace::fix::test {

constexpr std::uint64_t kTag = 0x4D52;
constexpr Lots kTenth{kScale / 10};

constexpr Magic magic(std::uint64_t intent, unsigned attempt = 0) noexcept {
    return Magic::make(kTag, intent, attempt);
}
inline std::string id(Magic m) {
    return std::string{cl_ord_id(m).view()};
}

/// Puts header and trailer around `fields` ("35=8|...|").
inline std::string seal(std::string_view fields, std::string_view begin = "FIX.4.4") {
    std::string body{fields};
    std::replace(body.begin(), body.end(), '|', kSoh);
    std::string all = "8=" + std::string{begin} + kSoh + "9=" + std::to_string(body.size()) + kSoh;
    all += body;
    char trailer[8];
    std::snprintf(trailer, sizeof(trailer), "10=%03u%c", checksum(all), kSoh);
    return all + std::string{trailer, 7};
}

/// With | for SOH, for comparing.
inline std::string readable(std::string_view fields) {
    std::string text{fields};
    std::replace(text.begin(), text.end(), kSoh, '|');
    return text;
}

inline std::string name_of(ReportType type) {
    switch (type) {
        case ReportType::Outcome: return "Outcome";
        case ReportType::Exec: return "Exec";
        case ReportType::QueryFound: return "Found";
        case ReportType::QueryUnknown: return "Unknown";
        default: return "?";
    }
}
inline std::string name_of(ExecKind kind) {
    switch (kind) {
        case ExecKind::PendingFilled: return "filled";
        case ExecKind::PendingCanceled: return "canceled";
        case ExecKind::Foreign: return "foreign";
        default: return "?";
    }
}

/// "Outcome#7 10009 2 0.1@1.1": type and intent, retcode or kind, OrdStatus, volume and price.
inline std::string line_of(const bridge::Event& e) {
    const auto type = static_cast<ReportType>(e.type);
    std::string line = name_of(type) + "#" + std::to_string(Magic{e.magic}.intent());
    line += " " + (type == ReportType::Exec ? name_of(static_cast<ExecKind>(e.exec_kind))
                                            : std::to_string(e.retcode));
    line += e.ord_status == 0 ? "" : std::string{" "} + static_cast<char>(e.ord_status);
    if (e.volume != 0) {
        line += " " + std::string{decimal_text(e.volume).view()} + "@";
        line += decimal_text(e.price).view();
    }
    return line;
}
/// All events, "; " between them, then "| Note" if there is one.
inline std::string line_of(const Answer& answer) {
    std::string line;
    for (std::size_t i = 0; i < answer.count; ++i) {
        line += (i == 0 ? "" : "; ") + line_of(answer.events[i]);
    }
    return answer.note == Note::None
               ? line
               : line + (line.empty() ? "| " : " | ") + std::string{to_string(answer.note)};
}

inline constexpr std::array kInstruments{
    Instrument{"EURUSD", "EUR/USD", 100'000 * kScale, 5},
    Instrument{"XAUUSD", "41", 100 * kScale, 2},
    Instrument{"SHARE", "SHARE", kScale, 2},
};

class FixRig {
public:
    explicit FixRig(const char* profile = "generic", std::uint32_t orders_max = 64)
        : book{orders_max, kTag, kInstruments, *find_profile(profile)} {}

    static bridge::Command command(CommandType type, std::uint64_t intent,
                                   PriceKind kind = PriceKind::Market) {
        bridge::Command c{};
        c.magic = magic(intent).value;
        c.type = static_cast<std::uint8_t>(type);
        c.price_kind = static_cast<std::uint8_t>(kind);
        c.volume = kTenth.value;
        c.price = kind == PriceKind::Market ? 0 : 110'000'000;
        std::memcpy(c.symbol, "EURUSD", 6);
        return c;
    }
    void market(std::uint64_t intent) { add(command(CommandType::Open, intent)); }
    void limit(std::uint64_t intent) { add(command(CommandType::Open, intent, PriceKind::Limit)); }
    void cancel(std::uint64_t intent, std::uint64_t of) {
        bridge::Command c = command(CommandType::Cancel, intent);
        c.order_ticket = magic(of).value;
        add(c);
    }
    void modify(std::uint64_t intent, std::uint64_t of, std::int64_t price = 109'000'000) {
        bridge::Command c = command(CommandType::Modify, intent, PriceKind::Limit);
        c.order_ticket = magic(of).value;
        c.price = price;
        add(c);
    }
    void add(const bridge::Command& c) {
        const Status added = book.add(c);
        ASSERT_TRUE(added.ok()) << added.error().what;
    }

    /// Takes in a whole message. A message that is refused says so.
    std::string take(std::string_view fields, std::string_view begin = "FIX.4.4") {
        millrace::test::covered("messages of a venue");
        bytes_ = seal(fields, begin);
        const auto message = Message::parse(bytes_);
        if (!message) {
            return std::string{"refused: "} + message.error().what;
        }
        const auto in = decode(message.value());
        if (!in) {
            return std::string{"refused: "} + in.error().what;
        }
        last = book.apply(in.value());
        millrace::test::covered("events told", last.count);
        return line_of(last);
    }
    /// ExecutionReport of an order of 10,000 units, with a fresh ExecID unless `more` has one.
    std::string report(std::uint64_t intent, char exec_type, char ord_status, int cum = 0,
                       const std::string& more = "") {
        std::string fields = "35=8|34=9|37=V" + std::to_string(intent) + "|";
        fields += more.starts_with("11=") ? "" : "11=" + id(magic(intent)) + "|";
        fields +=
            more.find("17=") == std::string::npos ? "17=E" + std::to_string(++exec_ids_) + "|" : "";
        fields += std::string{"150="} + exec_type + "|39=" + ord_status + "|55=EUR/USD|54=1|";
        fields += "38=10000|14=" + std::to_string(cum) + "|151=0|" + more;
        fields += more.find("6=") == std::string::npos ? "6=1.1|" : "";
        return take(fields);
    }

    OrderBook book;
    Answer last;

private:
    std::string bytes_;
    int exec_ids_ = 0;
};

}  // namespace millrace::fix::test
