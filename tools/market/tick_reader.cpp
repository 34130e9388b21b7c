#include "tools/market/tick_reader.h"

#include "tools/market/decimal.h"
#include "tools/market/text.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <numeric>

namespace millrace::market {
namespace {

constexpr std::string_view kCsvHeader = "time_ms,symbol,bid,ask";
constexpr std::string_view kMt5Header = "<DATE>\t<TIME>\t<BID>\t<ASK>";
constexpr Nanos kGap = seconds(60);

Result<std::int64_t> number(std::string_view text) {
    return parse_scaled(text, 0, Excess::Refuse);
}

// The symbol of "EURUSD_202603.csv" or "EURUSD.m_2026.csv.gz".
std::string symbol_of_file(const std::string& path) {
    const std::string name = std::filesystem::path{path}.filename().string();
    return name.substr(0, name.find_first_of("_.")).substr(0, 16);
}

}  // namespace

Result<std::int64_t> parse_mt5_time(std::string_view date, std::string_view time) noexcept {
    const Error bad{Errc::BadInput, 0, "not a date and time such as 2026.03.18 00:00:00.123"};
    if (date.size() != 10 || date[4] != '.' || date[7] != '.' || time.size() < 8 ||
        time[2] != ':' || time[5] != ':') {
        return bad;
    }
    const auto year = number(date.substr(0, 4));
    const auto month = number(date.substr(5, 2));
    const auto day = number(date.substr(8, 2));
    const auto hour = number(time.substr(0, 2));
    const auto minute = number(time.substr(3, 2));
    const auto second_ns = parse_scaled(time.substr(6), 9, Excess::Truncate);
    if (!year || !month || !day || !hour || !minute || !second_ns) {
        return bad;
    }
    const std::chrono::year_month_day ymd{std::chrono::year{static_cast<int>(year.value())},
                                          std::chrono::month{static_cast<unsigned>(month.value())},
                                          std::chrono::day{static_cast<unsigned>(day.value())}};
    if (!ymd.ok() || hour.value() > 23 || minute.value() > 59 ||
        second_ns.value() >= 61'000'000'000) {
        return bad;
    }
    const std::int64_t days = std::chrono::sys_days{ymd}.time_since_epoch().count();
    const std::int64_t seconds_of_day = hour.value() * 3600 + minute.value() * 60;
    return (days * 86'400 + seconds_of_day) * 1'000'000'000 + second_ns.value();
}

Result<std::unique_ptr<TickReader>> TickReader::open(const std::string& path) {
    auto lines = LineReader::open(path);
    if (!lines) {
        return lines.error();
    }
    std::unique_ptr<TickReader> reader{new TickReader{std::move(lines).value()}};
    reader->path_ = path;
    std::string_view header;
    if (!reader->lines_.next(header)) {
        return {Errc::BadInput, "empty: expected a header line"};
    }
    if (header.starts_with(kCsvHeader)) {
        reader->format_ = Format::Csv;
    } else if (header.starts_with(kMt5Header)) {
        reader->format_ = Format::Mt5;
        reader->file_symbol_ = to_text<16>(symbol_of_file(path));
    } else {
        return {Errc::BadInput,
                "no tick file: the first line must be time_ms,symbol,bid,ask,... or the "
                "<DATE> <TIME> <BID> <ASK> header of an MT5 export"};
    }
    return reader;
}

const char* TickReader::parse_csv(std::string_view line, Tick& tick) {
    std::string_view fields[6];
    if (split(line, ',', fields, 6) < 4 || fields[1].empty() || fields[1].size() > 16) {
        return "expected time_ms,symbol,bid,ask";
    }
    const auto time = parse_millis_ns(fields[0]);
    const auto bid = parse_decimal(fields[2]);
    const auto ask = parse_decimal(fields[3]);
    if (!time || !bid || !ask) {
        return !time ? "time_ms is not a number" : "bid or ask is not a decimal number";
    }
    tick = {Nanos{time.value()}, to_text<16>(fields[1]), Price{bid.value()}, Price{ask.value()}};
    note_decimals(tick.symbol, fields[2]);
    note_decimals(tick.symbol, fields[3]);
    return nullptr;
}

const char* TickReader::parse_mt5(std::string_view line, Tick& tick) {
    std::string_view fields[7];
    if (split(line, '\t', fields, 7) < 4) {
        return "expected <DATE>, <TIME>, <BID>, <ASK> separated by tabs";
    }
    const auto time = parse_mt5_time(fields[0], fields[1]);
    if (!time) {
        return time.error().what;
    }
    for (std::size_t i : {2U, 3U}) {
        Price& side = i == 2 ? last_bid_ : last_ask_;
        if (fields[i].empty()) {
            continue;  // unchanged
        }
        const auto price = parse_decimal(fields[i]);
        if (!price) {
            return "bid or ask is not a decimal number";
        }
        side = Price{price.value()};
        note_decimals(file_symbol_, fields[i]);
    }
    tick = {Nanos{time.value()}, file_symbol_, last_bid_, last_ask_};
    return nullptr;
}

const char* TickReader::parse(std::string_view line, Tick& tick) {
    if (line.size() >= LineReader::kLineBytesMax) {
        return "line too long";
    }
    return format_ == Format::Csv ? parse_csv(line, tick) : parse_mt5(line, tick);
}

void TickReader::note_decimals(const Text<16>& symbol, std::string_view price) {
    // Exporters pad with zeros ("2683.80000000"): those are no digits of the venue.
    if (price.find('.') != std::string_view::npos) {
        while (price.ends_with('0')) {
            price.remove_suffix(1);
        }
    }
    unsigned& most = decimals_[symbol];
    most = std::max(most, decimals_of(price));
}

void TickReader::skip(std::uint64_t& counter, const char* what) {
    ++counter;
    if (defects_.examples.size() < kExamplesMax) {
        defects_.examples.push_back(path_ + ":" + std::to_string(lines_.line_number()) + ": " +
                                    what);
    }
}

bool TickReader::accept(const Tick& tick, std::string_view line) {
    if (tick.bid.value <= 0 || tick.ask.value <= 0) {
        skip(defects_.bad_price, "bid or ask is zero or negative");
        return false;
    }
    const std::size_t hash = std::hash<std::string_view>{}(line);
    if (last_) {
        const Nanos gap = tick.time - last_->time;
        if (gap.value < 0) {
            skip(defects_.out_of_order, "earlier than the row before");
            return false;
        }
        defects_.same_time += gap.value == 0 ? 1U : 0U;
        defects_.repeats += hash == last_hash_ && tick == *last_ ? 1U : 0U;
        defects_.gaps += gap > kGap ? 1U : 0U;
        defects_.longest_gap = std::max(defects_.longest_gap, gap);
    } else {
        defects_.first_time = tick.time;
    }
    ++defects_.ticks;
    defects_.crossed += tick.bid > tick.ask ? 1U : 0U;
    defects_.locked += tick.bid == tick.ask ? 1U : 0U;
    defects_.last_time = tick.time;
    last_ = tick;
    last_hash_ = hash;
    return true;
}

std::optional<Tick> TickReader::next() {
    std::string_view line;
    while (lines_.next(line)) {
        if (line.empty()) {
            continue;
        }
        Tick tick;
        if (const char* what = parse(line, tick); what != nullptr) {
            skip(defects_.malformed, what);
        } else if (accept(tick, line)) {
            return tick;
        }
    }
    if (!lines_.damage().empty() && defects_.examples.size() < kExamplesMax) {
        skip(defects_.malformed, "the file is damaged from here on");
        defects_.examples.back() += " (" + lines_.damage() + ")";
    }
    return std::nullopt;
}

TickMerge::TickMerge(std::vector<std::unique_ptr<TickSource>> sources) {
    for (auto& source : sources) {
        auto first = source->next();
        heads_.push_back({std::move(source), first});
    }
}

std::optional<Tick> TickMerge::next() {
    Head* earliest = nullptr;
    Nanos at;
    for (Head& head : heads_) {
        if (head.tick && (earliest == nullptr || head.tick->time < at)) {
            earliest = &head;
            at = head.tick->time;
        }
    }
    if (earliest == nullptr) {
        return std::nullopt;
    }
    const auto tick = earliest->tick;
    earliest->tick = earliest->source->next();
    return tick;
}

Result<TickFileInfo> inspect_ticks(const std::string& path) {
    auto reader = TickReader::open(path);
    if (!reader) {
        return reader.error();
    }
    TickFileInfo info;
    while (const auto tick = reader.value()->next()) {
        info.first_mid.try_emplace(tick->symbol,
                                   Price{std::midpoint(tick->bid.value, tick->ask.value)});
    }
    info.decimals = reader.value()->decimals();
    info.defects = reader.value()->defects();
    return info;
}

std::string describe(const TickDefects& d) {
    return std::to_string(d.ticks) + " ticks, crossed " + std::to_string(d.crossed) + ", locked " +
           std::to_string(d.locked) + ", repeats " + std::to_string(d.repeats) + ", same time " +
           std::to_string(d.same_time) + ", out of order " + std::to_string(d.out_of_order) +
           ", gaps over 60 s " + std::to_string(d.gaps) + " (longest " +
           format_decimal(d.longest_gap.value / 100'000'000 * (kScale / 10)) + " s), bad price " +
           std::to_string(d.bad_price) + ", malformed " + std::to_string(d.malformed);
}

}  // namespace millrace::market
