// Workspace: the folder that one demo run lives in, and the configuration files it writes there.
#pragma once

#include "core/admin.h"
#include "core/result.h"
#include "tools/demo_run/options.h"
#include "tools/market/symbols.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::demo {

struct AccountPlan {
    std::string name;
    std::uint64_t login = 0;
    std::string key_hex;
    MarginMode margin_mode{};
    std::string symbol_prefix;
    std::string symbol_suffix;
    SizingMode sizing{};
    std::int64_t sizing_value = kScale;  // 1e-8
};

struct GroupPlan {
    std::string name;
    std::vector<std::size_t> members;  // indexes of accounts
};

/// Everything of a run that is decided before it starts.
struct Plan {
    std::vector<AccountPlan> accounts;
    std::vector<GroupPlan> groups;  // the first one holds all accounts
    std::vector<market::SymbolInfo> symbols;
    std::string source = "demo";
    std::string source_key_hex;
    std::uint16_t signals_port = 0;
    std::uint16_t bridge_port = 0;
    std::string segment_name;  // /dev/shm/millrace-<this>
    bool threads = false;
};

/// Accounts and groups for `options`: half hedging, half netting, different sizes and suffixes.
/// With recorded signals all sizes are multiples, so that no volume falls below the minimum.
/// Keys are random, ports free at this moment.
[[nodiscard]] Plan make_plan(const Options& options, std::vector<market::SymbolInfo> symbols);

/// Paths inside the folder.
class Workspace {
public:
    Workspace() = default;
    /// Makes the folder (mode 0700): `keep`, or a new one among the temporary files, which is
    /// removed with this object. @return IoError with errno; `message` names the path.
    [[nodiscard]] static Result<Workspace> create(const std::string& keep, std::string& message);
    ~Workspace();
    Workspace(Workspace&& other) noexcept;
    Workspace& operator=(Workspace&& other) noexcept;

    /// Writes millrace.json and simbroker.json (mode 0600: they hold keys).
    [[nodiscard]] Status write(const Plan& plan, std::string& message) const;

    [[nodiscard]] std::string path(const std::string& name) const { return dir_ + "/" + name; }
    [[nodiscard]] const std::string& dir() const noexcept { return dir_; }
    [[nodiscard]] bool kept() const noexcept { return keep_; }

private:
    std::string dir_;
    bool keep_ = false;
};

/// Environment variable: faults of the simulated broker, a JSON array as in its configuration.
inline constexpr const char* kBrokerFaultsVariable = "MILLRACE_DEMO_BROKER_FAULTS";

/// The two files as text.
[[nodiscard]] std::string millrace_json(const Plan& plan, const std::string& dir);
[[nodiscard]] std::string simbroker_json(const Plan& plan);

}  // namespace millrace::demo
