/* CRC-32C against its published check values, both ways of computing it against each other. */
#include "base/crc32c.h"
#include "tests/test.h"

TEST(check_values_of_rfc_3720)
{
    unsigned char bytes[32] = {0};
    CHECK_INT(mq_crc32c(0, "123456789", 9), 0xE3069283);
    CHECK_INT(mq_crc32c(0, bytes, 32), 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    CHECK_INT(mq_crc32c(0, bytes, 32), 0x62A8AB43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    CHECK_INT(mq_crc32c(0, bytes, 32), 0x46DD794E);
    CHECK_INT(mq_crc32c_by_table(0, "123456789", 9), 0xE3069283);
    CHECK_INT(mq_crc32c(0, "", 0), 0);
}

TEST(two_ways_and_any_split_give_the_same)
{
    struct random random = {test_setting("MQ_TEST_SEED", 1)};
    static unsigned char bytes[20000];
    for (int round = 0; round < 500; round++) {
        size_t n = random_below(&random, round % 2 ? 300 : sizeof bytes), cut = random_below(&random, n + 1);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (unsigned char)random_next(&random);
        uint32_t whole = mq_crc32c(0, bytes, n);
        CHECK_INT(mq_crc32c_by_table(0, bytes, n), whole);
        CHECK_INT(mq_crc32c(mq_crc32c(0, bytes, cut), bytes + cut, n - cut), whole);
    }
}
