// As much of JSON Schema as inspect.schema.json uses: type, enum, required, properties,
// additionalProperties, items, minimum. Other keywords would pass unseen, so they are refused.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace millrace::inspect {

/// The first place where `value` breaks `schema`, e.g. "/stages/0/pid: is no integer"; empty =
/// none.
std::string first_breach(const nlohmann::json& schema, const nlohmann::json& value,
                         const std::string& at = "");

}  // namespace millrace::inspect
