#include "tools/millrace/table_sizes.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/millrace/id_book.h"

namespace millrace {
namespace {

using nlohmann::json;
constexpr unsigned kVersion = 1;

std::string path_in(const std::string& journal_dir) {
    return journal_dir + "/sizes.json";
}

}  // namespace

Result<Capacity> load_table_sizes(const std::string& journal_dir, std::string& message) {
    const std::string path = path_in(journal_dir);
    std::ifstream in{path};
    if (!in) {
        const int why = errno;
        if (why == ENOENT) {
            return {Errc::NotFound, "table sizes"};
        }
        message = "cannot read " + path + ": " + std::strerror(why);
        return {Errc::IoError, "table sizes", why};
    }
    try {
        const json doc = json::parse(in);
        if (const auto version = doc.at("version").get<unsigned>(); version != kVersion) {
            message = path + " is of version " + std::to_string(version) + ", this build knows " +
                      std::to_string(kVersion) + "; use the newer build";
            return {Errc::BadVersion, "table sizes"};
        }
        const json& capacity = doc.at("capacity");
        Capacity sizes{};
        sizes.accounts = doc.at("accounts_max").get<std::uint32_t>();
        sizes.members = capacity.at("members").get<std::uint32_t>();
        sizes.orders = capacity.at("orders").get<std::uint32_t>();
        sizes.signals = capacity.at("ledger").get<std::uint32_t>();
        return sizes;
    } catch (const json::exception& e) {
        message = path + " is damaged (" + e.what() +
                  "); write into it the \"accounts_max\" and \"capacity\" that this journal was "
                  "begun with: with others its records give another state";
        return {Errc::BadInput, "table sizes"};
    }
}

Status save_table_sizes(const std::string& journal_dir, const Capacity& sizes,
                        std::string& message) {
    json doc;
    doc["version"] = kVersion;
    doc["accounts_max"] = sizes.accounts;
    doc["capacity"] = {
        {"members", sizes.members}, {"orders", sizes.orders}, {"ledger", sizes.signals}};
    return replace_file(path_in(journal_dir), doc.dump(1) + "\n", 0600, message);
}

}  // namespace millrace
