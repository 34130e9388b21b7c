#include "tools/millrace/log.h"

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <utility>

namespace millrace {
namespace {

// Made whole at every start of a stage: 8,192 lines are 2 MB, whose page faults were a fifth of a
// restart's processor time. A stage writes some lines a second at its worst.
constexpr std::size_t kQueueLines = 1024;
constexpr std::size_t kQueueAlerts = 128;

// How long the end waits for a line to get out: so many naps. A machine that stands still counts
// none of them, and a writer that waits only for its turn has had it by then.
constexpr int kStillNapsMax = 20;
constexpr std::chrono::milliseconds kNap{100};

using Queue = spdlog::details::thread_pool;
std::atomic<std::uint64_t> g_written{0};  // lines; relaxed: it orders nothing

/// A logger and the queue behind it.
struct Channel {
    std::shared_ptr<Queue> queue;
    std::shared_ptr<spdlog::logger> logger;
};

/// The log of this process. Not spdlog's default logger: at the end that is gone while other
/// threads still log.
class Log {
public:
    enum class State : std::uint8_t { NotStarted, Open, Closed };

    void open(Channel lines, Channel alerts) {
        const std::unique_lock lock{guard_};
        lines_ = std::move(lines);
        alerts_ = std::move(alerts);
        state_ = State::Open;
    }
    /// From here on nothing is put in, so nobody but drain() holds a queue.
    void shut() {
        const std::unique_lock lock{guard_};
        state_ = State::Closed;
    }
    /// After shut(): writes out what is queued, and waits for it. The loggers stay.
    void drain() {
        alerts_.queue.reset();
        lines_.queue.reset();
    }
    void put(spdlog::level::level_enum level, std::string_view text) {
        const std::shared_lock lock{guard_};
        if (state_ == State::NotStarted) {
            spdlog::log(level, "{}", text);
        } else if (state_ == State::Open) {
            const bool is_alert =
                level == spdlog::level::err && text.find("ALERT ") != std::string_view::npos;
            (is_alert ? alerts_ : lines_).logger->log(level, "{}", text);
        }
    }

private:
    std::shared_mutex guard_;  // what is under it waits for nobody
    State state_ = State::NotStarted;
    Channel lines_;
    Channel alerts_;
};

/// Never destroyed: a thread may log while the process ends.
Log& the_log() {
    static Log* const log = new Log;
    return *log;
}

/// At the end of a queue. Says how many lines are missing, where they are missing: a line that
/// comes after an overrun was put in after the ones that gave way to it.
class CountingSink final : public spdlog::sinks::sink {
public:
    /// @param queue whose writer alone calls log(); it waits for its writer before it goes.
    CountingSink(spdlog::sink_ptr out, Queue& queue) : out_{std::move(out)}, queue_{queue} {}

    void log(const spdlog::details::log_msg& msg) override {
        const std::size_t lost = queue_.overrun_counter();
        if (lost != told_) {
            const std::string text = std::to_string(lost - told_) +
                                     " lines are missing here: who reads this log was slower";
            out_->log({msg.logger_name, spdlog::level::warn, text});
            told_ = lost;
        }
        out_->log(msg);
        g_written.fetch_add(1, std::memory_order_relaxed);
    }
    void flush() override { out_->flush(); }
    void set_pattern(const std::string& pattern) override { out_->set_pattern(pattern); }
    void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
        out_->set_formatter(std::move(formatter));
    }

private:
    spdlog::sink_ptr out_;
    Queue& queue_;
    std::size_t told_ = 0;
};

Channel make_channel(const LogConfig& config, const std::string& who, const spdlog::sink_ptr& out,
                     std::size_t lines_max) {
    auto queue = std::make_shared<Queue>(lines_max, 1);
    auto logger = std::make_shared<spdlog::async_logger>(
        who, std::make_shared<CountingSink>(out, *queue), queue,
        spdlog::async_overflow_policy::overrun_oldest);
    logger->set_level(spdlog::level::from_str(config.level));
    logger->flush_on(spdlog::level::info);
    return {std::move(queue), std::move(logger)};
}

/// One JSON object a line; text escaped by the JSON library, never by us.
class JsonFormatter : public spdlog::formatter {
public:
    explicit JsonFormatter(std::string who) : who_{std::move(who)} {}

    void format(const spdlog::details::log_msg& msg, spdlog::memory_buf_t& out) override {
        time_.format(msg, stamp_);
        const auto level = spdlog::level::to_string_view(msg.level);
        nlohmann::ordered_json line;
        line["time"] = std::string{stamp_.data(), stamp_.size()};
        line["level"] = std::string{level.data(), level.size()};
        line["process"] = who_;
        line["pid"] = ::getpid();
        line["text"] = std::string{msg.payload.data(), msg.payload.size()};
        stamp_.clear();
        const std::string text =
            line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
        out.append(text.data(), text.data() + text.size());
    }
    [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
        return std::make_unique<JsonFormatter>(who_);
    }

private:
    std::string who_;
    spdlog::pattern_formatter time_{"%Y-%m-%dT%H:%M:%S.%fZ", spdlog::pattern_time_type::utc, ""};
    spdlog::memory_buf_t stamp_;
};

spdlog::sink_ptr make_sink(const LogConfig& config, std::string& message) {
    if (!config.file.empty()) {
        try {
            return std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.file);
        } catch (const spdlog::spdlog_ex& e) {
            message = "cannot open log file " + config.file + ": " + e.what() +
                      "; logging to standard error";
        }
    }
    return std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
}

}  // namespace

bool log_start(const LogConfig& config, const std::string& who, std::string& message) {
    const spdlog::sink_ptr sink = make_sink(config, message);
    if (config.json) {
        sink->set_formatter(std::make_unique<JsonFormatter>(who));
    } else {
        sink->set_pattern("%H:%M:%S.%e %^%-5l%$ " + who + ": %v");
    }
    the_log().open(make_channel(config, who, sink, kQueueLines),
                   make_channel(config, who, sink, kQueueAlerts));
    return message.empty();
}

int log_stop(int code) {
    std::promise<void> written_out;
    std::future<void> end = written_out.get_future();
    the_log().shut();
    std::thread writer{[&written_out] {
        the_log().drain();
        written_out.set_value();
    }};
    std::uint64_t before = g_written.load(std::memory_order_relaxed);
    for (int still = 0; end.wait_for(kNap) != std::future_status::ready;) {
        const std::uint64_t now = g_written.load(std::memory_order_relaxed);
        still = now == before ? still + 1 : 0;
        before = now;
        if (still == kStillNapsMax) {
            ::_exit(code);  // not exit(): it would wait for the same write
        }
    }
    writer.join();
    return code;
}

void log_debug(std::string_view text) {
    the_log().put(spdlog::level::debug, text);
}
void log_info(std::string_view text) {
    the_log().put(spdlog::level::info, text);
}
void log_warn(std::string_view text) {
    the_log().put(spdlog::level::warn, text);
}
void log_error(std::string_view text) {
    the_log().put(spdlog::level::err, text);
}

}  // namespace millrace
