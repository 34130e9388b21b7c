// TickSubscriber: a consumer's end of the distribution (a library, for hosts other than ours).
//
// Packets come by UDP, each with its number and sealed with the connection's key. A missing number
// is asked for by TCP at once; nothing by UDP for kUdpSilence, heartbeats included: everything by
// TCP, until UDP is heard again for a while. The TCP connection lost: again every 2 s; ten times in
// vain: alert, and on it goes. Each packet is told, or told to be lost.
#pragma once

#include "gateway/ticks/tick_frames.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

struct TickSubscriberOptions {
    std::string address = "127.0.0.1";  // IPv4 literal
    std::uint16_t port = 0;
    std::string name;  // as configured, 1..16 bytes
    std::vector<std::byte> key;
    bool udp = true;             // false: TCP alone
    std::uint16_t udp_port = 0;  // 0 = the kernel chooses
    Nanos reconnect = seconds(2);
    /// Recorded ticks that are asked for at once.
    std::uint32_t history_page = tick_wire::kHistoryMax;
};

/// Recorded ticks of a symbol, both times inclusive, by the source's time.
struct HistoryRange {
    std::string symbol;  // canonical, 1..16 bytes
    Nanos from;
    Nanos to;
    std::uint64_t feed = 0;  // login of the account whose terminal told them; 0 = all that did,
                             // each with its own
    std::uint64_t limit = UINT64_MAX;
};
/// How a question for recorded ticks ended.
enum class HistoryEnd : std::uint8_t {
    Whole,  // all that the record has, or `limit` of them
    Torn,   // the same, but a file of the record ends early: `millrace ticks dump` there says which
    Refused,  // there is no record, or too many ask at this moment
    Broken,   // the connection was lost: ask again from the last time on
};

/// A quote as a consumer gets it.
struct ReceivedTick {
    std::uint32_t row = 0;
    std::string_view symbol;  // canonical; empty if its name is still on its way
    tick_wire::TickEntry tick{};
    bool late = false;  // a newer one of its symbol has been told already
};

struct TickCallbacks {
    std::function<void(const ReceivedTick&)> on_tick;
    /// Packets from..to are lost for good; a snapshot of all symbols follows. After a connection
    /// that was lost: to = UINT64_MAX if nobody can tell how many, for the server began anew.
    std::function<void(std::uint64_t from, std::uint64_t to)> on_lost;
    /// What ask_history() asked for, oldest first; seq 0 = it was back-filled.
    std::function<void(const tick_wire::TickEntry& tick)> on_recorded;
    std::function<void(HistoryEnd how)> on_recorded_end;
    /// Ten tries to connect in vain.
    std::function<void(std::string_view why)> on_alert;
};

struct TickSubscriberStats {
    std::uint64_t packets = 0;  // each number once
    std::uint64_t repeats = 0;
    std::uint64_t forged = 0;     // datagrams without the connection's seal: thrown away
    std::uint64_t gaps = 0;       // jumps in the numbers
    std::uint64_t filled = 0;     // packets that came by being asked for
    std::uint64_t lost = 0;       // told to be
    std::uint64_t asked = 0;      // numbers, each time
    std::uint64_t fallbacks = 0;  // UDP -> TCP
    std::uint64_t returns = 0;    // TCP -> UDP
    std::uint64_t sessions = 0;
    std::uint64_t failed_connects = 0;
    std::uint64_t alerts = 0;
    std::uint64_t recorded = 0;  // ticks that ask_history() brought
};

/// Threads: one. Callbacks come from poll().
class TickSubscriber {
public:
    static constexpr Nanos kUdpSilence = millis(60);
    /// Not answered for so long, or for twice the time that answers take: asked for again; then
    /// after twice as long, and so on.
    static constexpr Nanos kAskAgain = millis(50);
    static constexpr Nanos kUdpBackFor = seconds(1);
    static constexpr std::uint32_t kAlertAfter = 10;
    /// Missing numbers that are remembered; beyond, the oldest are given up as lost.
    static constexpr std::size_t kMissingMax = 65'536;

    TickSubscriber(TickSubscriberOptions options, TickCallbacks callbacks);

    /// One round: connects, reads, calls back, asks. Waits up to `timeout_ms` for something.
    /// @param now any steady clock. @return packets told.
    int poll(Nanos now, int timeout_ms);

    /// Asks for recorded ticks, in pages, by TCP; packets go on meanwhile. The newest second may
    /// not be in the record yet.
    /// @return false: not connected, one is being answered, or the range is none (BadInput's cases:
    /// no symbol, from after to, no limit): nothing is asked and nothing will be told.
    [[nodiscard]] bool ask_history(const HistoryRange& range);

    [[nodiscard]] bool up() const noexcept { return link_ == Link::Up; }
    [[nodiscard]] bool by_tcp() const noexcept { return by_tcp_; }
    [[nodiscard]] std::size_t missing() const noexcept { return missing_.size(); }
    [[nodiscard]] const std::string& last_error() const noexcept { return last_error_; }
    [[nodiscard]] const TickSubscriberStats& stats() const noexcept { return stats_; }
    /// Tests: datagrams are thrown away unread, as a firewall does.
    void set_deaf(bool deaf) noexcept { deaf_ = deaf; }
    /// Tests: of each `n` datagrams one is thrown away; 0 = none.
    void set_loss(std::uint32_t n) noexcept { loss_ = n; }

private:
    enum class Link : std::uint8_t { Down, Connecting, Greeting, Up };

    void connect(Nanos now);
    void lost_link(std::string why, Nanos now);
    void read_tcp(Nanos now);
    void read_udp(Nanos now);
    [[nodiscard]] bool on_frame(const wire::Frame& frame, Nanos now);
    [[nodiscard]] bool on_challenge(const wire::Frame& frame);
    [[nodiscard]] bool on_welcome(const wire::Frame& frame);
    void on_packet(const wire::Frame& frame, Nanos now);
    void on_snapshot(const wire::Frame& frame);
    void on_lost(const tick_wire::Lost& lost);
    void tell(const wire::Frame& frame, bool snapshot);
    void expect(std::uint64_t number);
    void give_up(std::uint64_t from, std::uint64_t to);
    void give_up_missing(std::uint64_t below);
    void ask_for_missing(Nanos now);
    [[nodiscard]] bool on_recorded(const wire::Frame& frame);
    [[nodiscard]] bool on_recorded_end(const wire::Frame& frame);
    void ask_for_page();
    void end_history(HistoryEnd how);
    void keep_up(Nanos now);
    [[nodiscard]] bool ask(const tick_wire::Ask& ask);
    void flush(Nanos now);

    TickSubscriberOptions options_;
    TickCallbacks callbacks_;
    net::Poller poller_;
    net::Connection socket_;
    net::Fd udp_;
    std::uint16_t udp_port_ = 0;
    wire::FrameReader reader_{tick_wire::kVersion};
    Link link_ = Link::Down;
    bool by_tcp_ = false;
    bool deaf_ = false;
    std::uint32_t loss_ = 0;
    std::uint32_t dice_ = 0;
    wire::Nonce nonce_{};
    wire::Mac session_{};
    std::string last_error_;
    std::uint32_t failures_ = 0;
    Nanos connect_at_;
    Nanos heard_tcp_;
    Nanos heard_udp_;
    Nanos udp_since_;  // heard without a pause since; 0 = not
    Nanos beat_;
    struct Missing {
        Nanos first_asked;
        Nanos asked;  // last
        std::uint32_t times = 0;
    };
    Nanos look_at_;                          // all missing numbers are looked at again
    std::uint64_t fresh_from_ = UINT64_MAX;  // from it on some are to be asked for at once
    Nanos answers_in_;                       // so long the last answer took
    bool in_step_ = false;                   // next_ is known: a snapshot has said it
    std::uint64_t next_ = 0;  // the number that follows what was seen; 0 = never in step
    std::map<std::uint64_t, Missing> missing_;
    std::vector<std::uint64_t> told_of_;  // by row: the packet that the newest told quote is of
    bool wants_snapshot_ = false;
    struct History {
        HistoryRange range;
        std::uint64_t request = 0;
        std::uint64_t left = 0;     // of its limit
        std::uint64_t page = 0;     // of the page that is on its way: still to come at most
        std::uint32_t at_last = 0;  // ticks told that have the very time of range.from
        bool asked = false;         // the page; else there was no room for the question
        bool torn = false;
    };
    std::optional<History> history_;
    std::uint64_t requests_ = 0;
    std::map<std::uint32_t, std::string> names_;
    int told_ = 0;
    TickSubscriberStats stats_;
};

}  // namespace millrace
