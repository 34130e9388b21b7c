// Source: the demo as a signal provider. Sends what the script says over TCP, keeps its own log of
// what it was told, and asks again where an end is missing.
#pragma once

#include "gateway/signal_client.h"
#include "tools/demo_run/lives.h"
#include "tools/demo_run/script.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace millrace::demo {

struct SourceOptions {
    SignalClientOptions client;  // its ack_log is the witness
    Clock clock;                 // of the stamps; the segment's, so that kills compare
    std::uint32_t ttl_ms = 0;    // of signals that have none; 0 = the default of 30 s
    /// What is sent again has its first stamp, as the protocol asks for; else a new one, so that
    /// the latencies of one run are not those of its repeats.
    bool keep_stamps = false;
};

struct SourceCounts {
    std::uint64_t sent = 0;  // different signals
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;  // valid ones
    std::uint64_t refused_on_purpose = 0;
    std::uint64_t repeats = 0;                      // sent again on purpose
    std::uint64_t duplicates = 0;                   // answered Duplicate
    std::uint64_t asked_again = 0;                  // to learn an end that was missed
    std::map<std::string, std::uint64_t> refusals;  // reason -> count
};

/// Threads: one.
class Source {
public:
    [[nodiscard]] static Result<std::unique_ptr<Source>> create(const SourceOptions& options,
                                                                std::string& message);

    /// Sends one signal. One that the client cannot take now (it is full) is answered Busy.
    [[nodiscard]] Status send(const Planned& planned);
    /// One round of the connection. @param timeout_ms waits this long for something to arrive.
    void poll(int timeout_ms) { client_->poll(timeout_ms); }
    /// Sends every accepted signal whose end is missing once more, so that the ledger answers it.
    /// At most once a second for each.
    void ask_again();

    /// True when every signal was answered and has ended.
    [[nodiscard]] bool settled() const { return lives_.open_count() == 0; }
    [[nodiscard]] const Lives& lives() const noexcept { return lives_; }
    [[nodiscard]] const SourceCounts& counts() const noexcept { return counts_; }
    [[nodiscard]] const SignalClientStats& client_stats() const { return client_->stats(); }
    [[nodiscard]] bool connected() const { return client_->connected(); }
    [[nodiscard]] bool acks_when_durable() const { return client_->acks_when_durable(); }
    [[nodiscard]] const std::string& last_error() const { return client_->last_error(); }
    [[nodiscard]] Nanos now() const noexcept { return clock_.now(); }

private:
    explicit Source(const SourceOptions& options)
        : clock_{options.clock}, ttl_ms_{options.ttl_ms}, keep_stamps_{options.keep_stamps} {}
    void on_ack(const SignalAnswer& answer);
    void on_refused(const SignalAnswer& answer);

    Clock clock_;
    std::uint32_t ttl_ms_;
    bool keep_stamps_;
    Lives lives_;
    SourceCounts counts_;
    std::unique_ptr<SignalClient> client_;
    std::map<SignalId, Nanos> asked_;  // when last
};

}  // namespace millrace::demo
