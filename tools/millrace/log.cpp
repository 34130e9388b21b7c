#include "tools/millrace/log.h"

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include <unistd.h>

namespace millrace {
namespace {

// Made whole at every start of a stage: 8,192 lines are 2 MB, whose page faults were a fifth of a
// restart's processor time. A stage writes some lines a second at its worst.
constexpr std::size_t kQueueLines = 1024;

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
    auto sink = make_sink(config, message);
    if (config.json) {
        sink->set_formatter(std::make_unique<JsonFormatter>(who));
    } else {
        sink->set_pattern("%H:%M:%S.%e %^%-5l%$ " + who + ": %v");
    }
    spdlog::init_thread_pool(kQueueLines, 1);
    auto logger = std::make_shared<spdlog::async_logger>(
        who, sink, spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
    logger->set_level(spdlog::level::from_str(config.level));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
    return message.empty();
}

void log_stop() {
    spdlog::shutdown();
}

void log_debug(std::string_view text) {
    spdlog::debug("{}", text);
}
void log_info(std::string_view text) {
    spdlog::info("{}", text);
}
void log_warn(std::string_view text) {
    spdlog::warn("{}", text);
}
void log_error(std::string_view text) {
    spdlog::error("{}", text);
}

}  // namespace millrace
