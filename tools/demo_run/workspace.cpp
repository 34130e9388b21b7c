#include "tools/demo_run/workspace.h"

#include "tools/market/decimal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace millrace::demo {
namespace {

std::string random_hex(std::size_t bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::array<unsigned char, 64> raw{};
    ASSERT(bytes <= raw.size());
    // Up to 256 bytes come whole once the pool is ready, which it is after boot.
    ASSERT(::getrandom(raw.data(), bytes, 0) == static_cast<ssize_t>(bytes));
    std::string hex;
    for (std::size_t i = 0; i < bytes; ++i) {
        hex += kDigits[raw[i] >> 4];
        hex += kDigits[raw[i] & 15];
    }
    return hex;
}

/// Two free ports of 127.0.0.1, held at once so that they differ.
std::array<std::uint16_t, 2> free_ports() {
    std::array<int, 2> fds{};
    std::array<std::uint16_t, 2> ports{};
    for (std::size_t i = 0; i < fds.size(); ++i) {
        fds[i] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        socklen_t bytes = sizeof(at);
        const bool ok = fds[i] >= 0 &&
                        ::bind(fds[i], reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0 &&
                        ::getsockname(fds[i], reinterpret_cast<sockaddr*>(&at), &bytes) == 0;
        ports[i] = ok ? ::ntohs(at.sin_port) : std::uint16_t{0};
    }
    for (const int fd : fds) {
        ::close(fd);
    }
    return ports;
}

AccountPlan account_plan(std::size_t i, std::size_t count, const Options& options) {
    static constexpr const char* kSuffixes[] = {"", ".m", ".raw", "", "-ecn", "", ".pro", ""};
    static constexpr const char* kPrefixes[] = {"", "", "", "m_", "", "#", "", ""};
    static constexpr std::int64_t kMultipliers[] = {1, 2, 3, 1};
    AccountPlan a;
    a.name = "acc" + std::string{i + 1 < 10 ? "0" : ""} + std::to_string(i + 1);
    a.login = 700'001 + i;
    a.key_hex = random_hex(32);
    a.margin_mode = i < (count + 1) / 2 ? MarginMode::Hedging : MarginMode::Netting;
    a.symbol_suffix = kSuffixes[i % 8];
    a.symbol_prefix = kPrefixes[i % 8];
    a.sizing = SizingMode::Multiplier;
    a.sizing_value = kMultipliers[i % 4] * kScale;
    if (!options.recorded_signals()) {
        if (i % 4 == 1) {
            a.sizing = SizingMode::Fixed;
            a.sizing_value = 2 * kScale / 10;
        } else if (i % 4 == 3) {
            a.sizing = SizingMode::EquityShare;
            a.sizing_value = 3 * kScale / 100;  // of 10 million: some lots
        } else if (i % 4 == 2) {
            a.sizing_value = kScale / 2;
        }
    }
    return a;
}

const char* sizing_name(SizingMode mode) {
    return mode == SizingMode::Fixed        ? "fixed"
           : mode == SizingMode::Multiplier ? "multiplier"
                                            : "equity_share";
}

std::string quoted(const std::string& key, const std::string& value) {
    return "\"" + key + "\": \"" + value + "\"";
}

std::string margin_name(MarginMode mode) {
    return mode == MarginMode::Hedging ? "hedging" : "netting";
}

std::string account_json(const AccountPlan& a) {
    // The engine's rate limits and order caps are wide open: the demo measures the pipeline.
    return "    {" + quoted("name", a.name) + ", \"login\": " + std::to_string(a.login) + ", " +
           quoted("key", a.key_hex) + ", " + quoted("margin_mode", margin_name(a.margin_mode)) +
           ",\n     " + quoted("symbol_prefix", a.symbol_prefix) + ", " +
           quoted("symbol_suffix", a.symbol_suffix) +
           ", \"rate_per_second\": 100000, \"rate_burst\": 100000, " + quoted("gate", "disk") + "}";
}

/// @param quote decimals as strings: the broker's JSON library reads numbers through a double.
std::string symbol_json(const market::SymbolInfo& s, const char* quote) {
    const auto number = [quote](const char* key, std::int64_t v) {
        return std::string{", \""} + key + "\": " + quote + market::format_decimal(v) + quote;
    };
    return "    {" + quoted("name", s.name) + ", \"digits\": " + std::to_string(s.digits) +
           number("tick_size", s.tick_size.value) + number("volume_min", s.volume_min.value) +
           number("volume_max", s.volume_max.value) + number("volume_step", s.volume_step.value) +
           number("contract_size", s.contract_size) + "}";
}

std::string group_json(const GroupPlan& g, const std::vector<AccountPlan>& accounts) {
    std::string text = "    {" + quoted("name", g.name) + ", \"members\": [";
    for (std::size_t i = 0; i < g.members.size(); ++i) {
        const AccountPlan& a = accounts[g.members[i]];
        text += (i == 0 ? "\n" : ",\n");
        text += "      {" + quoted("account", a.name) + ", " +
                quoted("sizing", sizing_name(a.sizing)) +
                ", \"value\": " + market::format_decimal(a.sizing_value) + "}";
    }
    return text + "]}";
}

template <class Items, class Write>
std::string list_json(const Items& items, Write&& write) {
    std::string text = "[\n";
    for (std::size_t i = 0; i < items.size(); ++i) {
        text += write(items[i]) + (i + 1 < items.size() ? ",\n" : "");
    }
    return text + "]";
}

Status write_private(const std::string& path, const std::string& text, std::string& message) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool ok =
        fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int error = errno;
    if (fd >= 0) {
        ::close(fd);
    }
    if (!ok) {
        message = "cannot write " + path;
        return {Errc::IoError, "write", error};
    }
    return ok_status();
}

}  // namespace

Plan make_plan(const Options& options, std::vector<market::SymbolInfo> symbols) {
    Plan plan;
    plan.symbols = std::move(symbols);
    GroupPlan all{"all", {}};
    GroupPlan hedging{"hedging", {}};
    GroupPlan netting{"netting", {}};
    for (std::size_t i = 0; i < options.accounts; ++i) {
        plan.accounts.push_back(account_plan(i, options.accounts, options));
        all.members.push_back(i);
        (plan.accounts[i].margin_mode == MarginMode::Hedging ? hedging : netting)
            .members.push_back(i);
    }
    plan.groups = {all, hedging, GroupPlan{"single", {0}}};
    if (!netting.members.empty()) {
        plan.groups.push_back(netting);
    }
    const auto ports = free_ports();
    plan.signals_port = ports[0];
    plan.bridge_port = ports[1];
    plan.source_key_hex = random_hex(32);
    plan.segment_name = "demo-" + std::to_string(::getpid());
    plan.threads = options.threads;
    return plan;
}

std::string millrace_json(const Plan& plan, const std::string& dir) {
    const std::string host = "127.0.0.1:";
    std::string text = "{\n  " + quoted("name", plan.segment_name) + ",\n";
    text += "  \"journal\": {" + quoted("dir", dir + "/journal") + ", \"file_mib\": 16},\n";
    text += "  \"sqlite\": {" + quoted("path", dir + "/millrace.db") + "},\n";
    text += "  \"accounts_max\": 64,\n";
    text += "  \"listen\": {" + quoted("signals", host + std::to_string(plan.signals_port)) + ", " +
            quoted("bridge", host + std::to_string(plan.bridge_port)) + "},\n";
    text += std::string{"  \"placement\": {"} +
            quoted("mode", plan.threads ? "threads" : "processes") + "},\n";
    text += "  \"symbols\": " +
            list_json(plan.symbols, [](const auto& s) { return symbol_json(s, ""); }) + ",\n";
    text += "  \"accounts\": " + list_json(plan.accounts, account_json) + ",\n";
    text +=
        "  \"groups\": " +
        list_json(plan.groups, [&](const GroupPlan& g) { return group_json(g, plan.accounts); }) +
        ",\n";
    text += "  \"sources\": [{" + quoted("name", plan.source) + ", " + quoted("kind", "tcp") +
            ", " + quoted("key", plan.source_key_hex) + ", " + quoted("ack", "disk") + "}]\n}\n";
    return text;
}

std::string simbroker_json(const Plan& plan) {
    const auto account = [](const AccountPlan& a) {
        return "    {\"login\": " + std::to_string(a.login) + ", " + quoted("key", a.key_hex) +
               ", " + quoted("margin_mode", margin_name(a.margin_mode)) + ", " +
               quoted("symbol_prefix", a.symbol_prefix) + ", " +
               quoted("symbol_suffix", a.symbol_suffix) +
               ",\n     \"balance\": 10000000, \"leverage\": 500}";
    };
    // For tests that must see the demo say no: a broker that does what it says it did not do.
    const char* faults = std::getenv(kBrokerFaultsVariable);
    return "{\n  \"accounts\": " + list_json(plan.accounts, account) + ",\n  \"symbols\": " +
           list_json(plan.symbols, [](const auto& s) { return symbol_json(s, "\""); }) +
           (faults == nullptr ? "" : ",\n  \"faults\": " + std::string{faults}) + "\n}\n";
}

Result<Workspace> Workspace::create(const std::string& keep, std::string& message) {
    namespace fs = std::filesystem;
    Workspace w;
    w.keep_ = !keep.empty();
    if (w.keep_) {
        w.dir_ = fs::absolute(keep).lexically_normal().string();
        std::error_code error;
        fs::create_directories(w.dir_, error);
        if (error || !fs::is_empty(w.dir_, error) || error) {
            message = "--keep " + w.dir_ + " must be a new or empty folder" +
                      (error ? " (" + error.message() + ")" : "");
            w.dir_.clear();
            return {Errc::IoError, "keep", error.value()};
        }
        ::chmod(w.dir_.c_str(), 0700);
        return w;
    }
    std::string pattern = (fs::temp_directory_path() / "millrace-demo-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        message = "cannot make a folder like " + pattern;
        return {Errc::IoError, "mkdtemp", errno};
    }
    w.dir_ = pattern;
    return w;
}

Workspace::~Workspace() {
    if (!keep_ && !dir_.empty()) {
        std::error_code none;
        std::filesystem::remove_all(dir_, none);
    }
}

Workspace::Workspace(Workspace&& o) noexcept : dir_{std::exchange(o.dir_, {})}, keep_{o.keep_} {}

Workspace& Workspace::operator=(Workspace&& o) noexcept {
    std::swap(dir_, o.dir_);
    std::swap(keep_, o.keep_);
    return *this;
}

Status Workspace::write(const Plan& plan, std::string& message) const {
    if (const Status s = write_private(path("millrace.json"), millrace_json(plan, dir_), message);
        !s) {
        return s;
    }
    return write_private(path("simbroker.json"), simbroker_json(plan), message);
}

}  // namespace millrace::demo
