#include "tools/inspect/filter.h"

#include <algorithm>
#include <cctype>

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

std::string lower(std::string s) {
    std::transform(s.begin(), s.end(), s.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return s;
}

std::string text_of(const ordered_json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

/// True if any field called one of `names`, at any depth, satisfies `wanted`.
template <class F>
bool any_field(const ordered_json& record, const std::vector<std::string>& names, F wanted) {
    for (const auto& [name, value] : record.items()) {
        if (value.is_object() && any_field(value, names, wanted)) {
            return true;
        }
        if (!value.is_object() && std::find(names.begin(), names.end(), name) != names.end() &&
            wanted(value)) {
            return true;
        }
    }
    return false;
}

bool is_one_of(const ordered_json& value, const std::vector<std::string>& wanted) {
    const std::string text = lower(text_of(value));
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const std::string& w) { return lower(w) == text; });
}

bool begins_with_one_of(const ordered_json& value, const std::vector<std::string>& wanted) {
    const std::string text = lower(text_of(value));
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const std::string& w) { return text.starts_with(lower(w)); });
}

/// The id that `text` stands for: a configured name, else a login, else the id itself.
std::uint64_t account_id(const std::string& text, const std::vector<std::string>& names,
                         const Segment* segment) {
    const auto named = std::find(names.begin(), names.end(), text);
    if (named != names.end()) {
        return static_cast<std::uint64_t>(named - names.begin());
    }
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos ||
        text.size() > 19) {
        return kNoId;
    }
    const std::uint64_t number = std::stoull(text);
    for (std::uint32_t i = 0; segment != nullptr && i < segment->sessions(); ++i) {
        // Relaxed: a number for people.
        if (number != 0 &&
            segment->session(AccountId{i}).login.load(std::memory_order_relaxed) == number) {
            return i;
        }
    }
    return number;
}

}  // namespace

Filter::Filter(const FilterOptions& options, const std::vector<std::string>& accounts,
               const Segment* segment)
    : options_{options} {
    for (const std::string& a : options.accounts) {
        accounts_.push_back(account_id(a, accounts, segment));
        if (accounts_.back() == kNoId) {
            std::vector<std::string> known;
            std::copy_if(accounts.begin(), accounts.end(), std::back_inserter(known),
                         [](const std::string& n) { return !n.empty(); });
            fault_ = "no account called " + a +
                     (known.empty() ? "; give its number" : "; there is: " + joined(known));
        }
    }
}

bool Filter::empty() const noexcept {
    return options_.accounts.empty() && options_.signals.empty() && options_.orders.empty() &&
           options_.types.empty();
}

bool Filter::matches(const ordered_json& record) const {
    const bool account =
        accounts_.empty() || any_field(record, {"account"}, [&](const ordered_json& v) {
            return v.is_number_unsigned() && std::find(accounts_.begin(), accounts_.end(),
                                                       v.get<std::uint64_t>()) != accounts_.end();
        });
    const bool signal = options_.signals.empty() ||
                        any_field(record, {"signal", "id", "target"}, [&](const ordered_json& v) {
                            return begins_with_one_of(v, options_.signals);
                        });
    const bool order = options_.orders.empty() ||
                       any_field(record, {"magic", "intent"}, [&](const ordered_json& v) {
                           return is_one_of(v, options_.orders);
                       });
    const bool type = options_.types.empty() || any_field(record, {"type", "kind", "action", "op"},
                                                          [&](const ordered_json& v) {
                                                              return is_one_of(v, options_.types);
                                                          });
    return account && signal && order && type;
}

}  // namespace millrace::inspect
