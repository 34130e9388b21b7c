// Script: which signals are sent when. One generates them from a seed, one replays trades.
#pragma once

#include "tools/demo_run/lives.h"
#include "tools/market/generator.h"
#include "tools/market/symbols.h"

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::demo {

struct QuoteNow {
    Price bid;
    Price ask;
};
/// The market as a source sees it; nothing if there is no quote yet.
using QuoteOf = std::function<std::optional<QuoteNow>(std::string_view symbol)>;

struct Planned {
    SignalRequest request;
    Purpose purpose = Purpose::Trade;
    bool is_repeat = false;  // of one that was answered: has to be answered Duplicate
};

/// Threads: one.
class Script {
public:
    virtual ~Script() = default;
    /// The next signal that is due `elapsed` after the start; nothing if none is due now.
    [[nodiscard]] virtual std::optional<Planned> next(Nanos elapsed) = 0;
    /// Nothing more will ever come.
    [[nodiscard]] virtual bool finished() const { return false; }
    /// How many are still to come, if that is known; else 0.
    [[nodiscard]] virtual std::size_t left() const { return 0; }
    /// At the end: cancels for the pending orders that still work.
    [[nodiscard]] virtual std::vector<Planned> tidy_up() = 0;
};

struct GeneratedOptions {
    std::uint64_t seed = 1;
    std::uint32_t rate = 40;          // signals a second
    std::vector<std::string> groups;  // the first is used most
    std::vector<market::SymbolInfo> symbols;
};

/// Opens (some with SL and TP), closes, partial closes, modifies, pendings placed, modified and
/// cancelled, repeats and a few wrong ones, from a seed. What is closed or changed depends on what
/// was accepted by then, so the mix is the seed's and the timing the machine's.
class GeneratedScript final : public Script {
public:
    GeneratedScript(GeneratedOptions options, const Lives& lives, QuoteOf quote_of);

    [[nodiscard]] std::optional<Planned> next(Nanos elapsed) override;
    [[nodiscard]] std::vector<Planned> tidy_up() override;

private:
    struct Open {
        SignalRequest request;
        Nanos at;  // since the start
        bool halved = false;
    };

    [[nodiscard]] std::optional<Planned> make(Nanos elapsed);
    [[nodiscard]] std::optional<Planned> open(Nanos elapsed);
    [[nodiscard]] std::optional<Planned> place(Nanos elapsed);
    [[nodiscard]] std::optional<Planned> close(Nanos elapsed, bool part);
    [[nodiscard]] std::optional<Planned> modify(Nanos elapsed);
    [[nodiscard]] std::optional<Planned> modify_pending(Nanos elapsed);
    [[nodiscard]] std::optional<Planned> cancel(Nanos elapsed);
    [[nodiscard]] std::optional<Planned> repeat();
    [[nodiscard]] Planned wrong();
    [[nodiscard]] SignalRequest blank(SignalAction action);
    [[nodiscard]] SignalRequest about(const SignalRequest& opened, SignalAction action);
    void set_stops(SignalRequest& request, const QuoteNow& quote);
    [[nodiscard]] const market::SymbolInfo& info_of(const std::string& symbol) const;
    /// A random one that was accepted at least a second ago; end() if there is none.
    [[nodiscard]] std::deque<Open>::iterator ripe(std::deque<Open>& list, Nanos elapsed);

    GeneratedOptions options_;
    const Lives& lives_;
    QuoteOf quote_of_;
    market::Random random_;
    std::int64_t next_ns_ = 0;
    std::deque<Open> positions_;
    std::deque<Open> pendings_;
    std::vector<SignalId> recent_;
};

/// A random UUID (version 4 bits set) from the generator.
[[nodiscard]] SignalId random_id(market::Random& random) noexcept;

}  // namespace millrace::demo
