// Goal: two builds whose shared structs differ in any field do not share a segment.
// Method: the tables that schema_hash() is taken over; each field moved, resized and renamed, and
// each two neighbours swapped, must give another hash. (That no field is missing in the tables is
// checked where they stand, when they are compiled.)
#include "shm/segment_schema.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <set>
#include <string>
#include <vector>

namespace millrace {
namespace {

/// kSchema with `fields` in place of its `index`-th table.
std::uint64_t hash_with(std::size_t index, std::span<const FieldPlace> fields) {
    std::vector<StructPlaces> schema{std::begin(kSchema), std::end(kSchema)};
    schema[index].fields = fields;
    return hash_of(schema);
}

TEST(Schema, HashChangesIfAnyFieldMovesGrowsIsRenamedOrSwapped) {
    std::set<std::uint64_t> hashes{hash_of(kSchema)};
    std::size_t changes = 0;
    const auto expect_new = [&](std::size_t index, const std::vector<FieldPlace>& fields,
                                const std::string& what) {
        ++changes;
        EXPECT_TRUE(hashes.insert(hash_with(index, fields)).second) << what;
    };
    for (std::size_t t = 0; t < std::size(kSchema); ++t) {
        const std::vector<FieldPlace> good{kSchema[t].fields.begin(), kSchema[t].fields.end()};
        for (std::size_t i = 0; i < good.size(); ++i) {
            const std::string what = std::string{kSchema[t].name} + "::" + good[i].name;
            auto fields = good;
            fields[i].offset += 8;
            expect_new(t, fields, what + " moved");
            fields = good;
            fields[i].bytes *= 2;
            expect_new(t, fields, what + " grown");
            fields = good;
            fields[i].name = "renamed";
            expect_new(t, fields, what + " renamed");
            if (i > 0) {
                fields = good;  // as if the two lines of the struct had been swapped
                std::swap(fields[i].offset, fields[i - 1].offset);
                expect_new(t, fields, what + " swapped with " + good[i - 1].name);
            }
        }
    }
    std::printf("%zu changes of %zu structs, as many hashes\n", changes, std::size(kSchema));
}

TEST(Schema, NamesEveryStructAndFieldOnce) {
    std::set<std::string> structs;
    for (const StructPlaces& s : kSchema) {
        EXPECT_TRUE(structs.insert(s.name).second) << s.name;
        std::set<std::string> fields;
        for (const FieldPlace& f : s.fields) {
            EXPECT_TRUE(fields.insert(f.name).second) << s.name << "::" << f.name;
        }
    }
}

}  // namespace
}  // namespace millrace
