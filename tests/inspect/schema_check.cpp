#include "tests/inspect/schema_check.h"

#include <set>

namespace millrace::inspect {
namespace {

using nlohmann::json;

bool has_type(const std::string& type, const json& value) {
    return (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
           (type == "string" && value.is_string()) || (type == "boolean" && value.is_boolean()) ||
           (type == "integer" && value.is_number_integer()) ||
           (type == "number" && value.is_number()) || (type == "null" && value.is_null());
}

bool type_fits(const json& types, const json& value) {
    if (types.is_string()) {
        return has_type(types, value);
    }
    for (const json& type : types) {
        if (has_type(type, value)) {
            return true;
        }
    }
    return false;
}

std::string object_breach(const json& schema, const json& value, const std::string& at) {
    for (const json& name : schema.value("required", json::array())) {
        if (!value.contains(name)) {
            return at + "/" + name.get<std::string>() + ": is missing";
        }
    }
    const json properties = schema.value("properties", json::object());
    for (const auto& [name, member] : value.items()) {
        if (properties.contains(name)) {
            if (auto breach = first_breach(properties[name], member, at + "/" + name);
                !breach.empty()) {
                return breach;
            }
        } else if (!schema.value("additionalProperties", true)) {
            return at + "/" + name + ": is not in the schema";
        }
    }
    return {};
}

}  // namespace

std::string first_breach(const json& schema, const json& value, const std::string& at) {
    static const std::set<std::string> kKnown{"type",       "enum",        "required",
                                              "properties", "items",       "additionalProperties",
                                              "minimum",    "description", "pattern"};
    for (const auto& [keyword, unused] : schema.items()) {
        if (kKnown.count(keyword) == 0) {
            return at + ": schema keyword " + keyword + " is not checked here";
        }
    }
    if (schema.contains("type") && !type_fits(schema["type"], value)) {
        return at + ": " + value.dump() + " is no " + schema["type"].dump();
    }
    if (schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) {
        return at + ": " + value.dump() + " is not in " + schema["enum"].dump();
    }
    if (schema.contains("minimum") && value.is_number() && value < schema["minimum"]) {
        return at + ": " + value.dump() + " is too small";
    }
    if (value.is_object()) {
        return object_breach(schema, value, at);
    }
    if (value.is_array() && schema.contains("items")) {
        for (std::size_t i = 0; i < value.size(); ++i) {
            if (auto breach = first_breach(schema["items"], value[i], at + "/" + std::to_string(i));
                !breach.empty()) {
                return breach;
            }
        }
    }
    return {};
}

}  // namespace millrace::inspect
