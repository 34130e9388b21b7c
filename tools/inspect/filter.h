// Which records are wanted: by account, signal, order, type.
#pragma once

#include "tools/inspect/verbs.h"

namespace millrace::inspect {

class Filter {
public:
    /// @param accounts names by id (ids.json); logins come from the segment, if there is one.
    Filter(const FilterOptions& options, const std::vector<std::string>& accounts,
           const Segment* segment);

    /// Empty, or which option names an account that does not exist.
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
    [[nodiscard]] bool empty() const noexcept;
    [[nodiscard]] bool matches(const nlohmann::ordered_json& record) const;

private:
    FilterOptions options_;
    std::vector<std::uint64_t> accounts_;
    std::string fault_;
};

}  // namespace millrace::inspect
