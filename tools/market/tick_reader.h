// Recorded ticks: our CSV(.gz), or a user's own MT5 tick export. What is wrong with a file is
// counted and named, never hidden and never fatal.
#pragma once

#include "tools/market/line_reader.h"
#include "tools/market/tick.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace millrace::market {

/// What a tick file holds that a perfect one would not. Counted over consecutive ticks of one file.
struct TickDefects {
    std::uint64_t ticks = 0;
    std::uint64_t crossed = 0;       // bid above ask
    std::uint64_t locked = 0;        // bid equals ask
    std::uint64_t repeats = 0;       // equal to the row before in everything
    std::uint64_t same_time = 0;     // time stamp of the row before
    std::uint64_t out_of_order = 0;  // earlier than the row before; skipped
    std::uint64_t gaps = 0;          // more than 60 s
    std::uint64_t bad_price = 0;     // zero or negative; skipped
    std::uint64_t malformed = 0;     // skipped
    Nanos longest_gap;
    Nanos first_time;
    Nanos last_time;
    std::vector<std::string> examples;  // "file:line: what", the first few skipped lines
};

/// Threads: one.
class TickReader final : public TickSource {
public:
    static constexpr std::size_t kExamplesMax = 5;

    /// Opens a file; its format is known by its first line:
    ///  - `time_ms,symbol,bid,ask,bid_vol,ask_vol`: UTC epoch milliseconds, fraction down to 1 ns;
    ///  - `<DATE>\t<TIME>\t<BID>\t<ASK>...` (MT5 export): `2026.03.18 00:00:00.123`, an empty bid
    ///  or
    ///    ask is unchanged, the symbol is the file name up to its first '_' or '.', the time is the
    ///    server's wall clock read as UTC.
    /// @return Errc::IoError with errno; Errc::BadInput if the first line is neither.
    [[nodiscard]] static Result<std::unique_ptr<TickReader>> open(const std::string& path);

    [[nodiscard]] std::optional<Tick> next() override;

    [[nodiscard]] const TickDefects& defects() const noexcept { return defects_; }
    /// Most decimals of a price by symbol, as read so far; for infer_symbol().
    [[nodiscard]] const std::map<Text<16>, unsigned>& decimals() const noexcept {
        return decimals_;
    }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    enum class Format : std::uint8_t { Csv, Mt5 };
    explicit TickReader(LineReader lines) : lines_{std::move(lines)} {}

    [[nodiscard]] const char* parse(std::string_view line, Tick& tick);
    [[nodiscard]] const char* parse_csv(std::string_view line, Tick& tick);
    [[nodiscard]] const char* parse_mt5(std::string_view line, Tick& tick);
    [[nodiscard]] bool accept(const Tick& tick, std::string_view line);
    void skip(std::uint64_t& counter, const char* what);
    void note_decimals(const Text<16>& symbol, std::string_view price);

    LineReader lines_;
    std::string path_;
    Format format_ = Format::Csv;
    Text<16> file_symbol_;  // MT5 export
    Price last_bid_;        // MT5 export: unchanged sides
    Price last_ask_;
    std::optional<Tick> last_;
    std::size_t last_hash_ = 0;  // of the last row
    TickDefects defects_;
    std::map<Text<16>, unsigned> decimals_;
};

/// Several sources as one, by time; among equal times the source named first goes first.
class TickMerge final : public TickSource {
public:
    explicit TickMerge(std::vector<std::unique_ptr<TickSource>> sources);
    [[nodiscard]] std::optional<Tick> next() override;

private:
    struct Head {
        std::unique_ptr<TickSource> source;
        std::optional<Tick> tick;
    };
    std::vector<Head> heads_;
};

/// "2026.03.18" and "00:00:00[.123]" to nanoseconds since 1970, read as UTC.
[[nodiscard]] Result<std::int64_t> parse_mt5_time(std::string_view date,
                                                  std::string_view time) noexcept;

/// What is worth knowing of a tick file before it is played: symbols with their decimals, first and
/// last time, defects. Reads the whole file.
struct TickFileInfo {
    std::map<Text<16>, unsigned> decimals;
    std::map<Text<16>, Price> first_mid;
    TickDefects defects;
};
[[nodiscard]] Result<TickFileInfo> inspect_ticks(const std::string& path);

/// The defects as one line for a report.
[[nodiscard]] std::string describe(const TickDefects& defects);

}  // namespace millrace::market
