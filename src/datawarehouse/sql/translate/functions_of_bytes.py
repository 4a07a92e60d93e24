"""Functions of bytes: encodings, hashes and checksums; the lines are as in `functions`.

Sources: Trino documentation, "Binary functions and operators"; RFC 2104 (HMAC); ISO 3309 (CRC-32).
"""

from __future__ import annotations

BYTES = r"""
to_utf8(varchar) -> varbinary                       encode($1)
from_utf8(varbinary) -> varchar                     trino_from_utf8($1)
to_hex(varbinary) -> varchar                        hex($1)
from_hex(varchar) -> varbinary
    trino_from_hex($1)
to_base64(varbinary) -> varchar                     to_base64($1)
from_base64(varchar) -> varbinary                   trino_from_base64($1, '+/')
to_base64url(varbinary) -> varchar                  translate(to_base64($1), '+/', '-_')
from_base64url(varchar) -> varbinary                trino_from_base64($1, '-_')
to_base32(varbinary) -> varchar
    array_to_string(list_transform(range(0, 8 * ((octet_length($1) + 4) // 5)), lambda "e#":
    if("e#" * 5 >= octet_length($1) * 8, '=', substr('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 1 +
    CAST(CAST(substr(rpad(CAST(CAST($1
    AS BIT) AS VARCHAR), CAST(octet_length($1) * 8 + 8 AS INTEGER), '0'), "e#" * 5 + 1, 5) AS BIT) AS INTEGER), 1))),
    '')
from_base32(varchar) -> varbinary                   trino_from_base32(rtrim($1, '='))
to_big_endian_64(bigint) -> varbinary               unhex(printf('%016x', $1))
to_big_endian_32(integer) -> varbinary              unhex(right(printf('%016x', CAST($1 AS BIGINT)), 8))
from_big_endian_64(varbinary) -> bigint
    !if(octet_length($1) = 8, CAST(CAST($1 AS BIT) AS BIGINT), CAST('from_big_endian_64 takes 8 bytes' AS BIGINT))
from_big_endian_32(varbinary) -> integer
    !if(octet_length($1) = 4, CAST(CAST($1 AS BIT) AS INTEGER), CAST('from_big_endian_32 takes 4 bytes' AS INTEGER))
to_ieee754_64(double) -> varbinary
    if(isnan($1), unhex('7FF8000000000000'), unhex(printf('%016x', CAST(CAST($1 AS BIT) AS BIGINT))))
to_ieee754_32(real) -> varbinary
    if(isnan($1), unhex('7FC00000'), unhex(right(printf('%016x', CAST(CAST(CAST($1 AS BIT) AS INTEGER) AS BIGINT)), 8)))
from_ieee754_64(varbinary) -> double
    !if(octet_length($1) = 8, CAST(CAST($1 AS BIT) AS DOUBLE), CAST('from_ieee754_64 takes 8 bytes' AS DOUBLE))
from_ieee754_32(varbinary) -> real
    !if(octet_length($1) = 4, CAST(CAST($1 AS BIT) AS FLOAT), CAST('from_ieee754_32 takes 4 bytes' AS FLOAT))
md5(varbinary) -> varbinary                         unhex(md5($1))
sha1(varbinary) -> varbinary                        unhex(sha1($1))
sha256(varbinary) -> varbinary                      unhex(sha256($1))
sha512(varbinary) -> varbinary                      trino_sha512($1)
xxhash64(varbinary) -> varbinary                    trino_xxhash64($1)
from_utf8(varbinary, varchar) -> varchar
    if(length($2) <= 1, trino_from_utf8_with($1, hex(encode($2))), if($2 IS NULL, NULL,
    CAST(CAST('The replacement of from_utf8 is one character or empty' AS INTEGER) AS VARCHAR)))
from_utf8(varbinary, bigint) -> varchar             trino_from_utf8_with($1, hex(encode(chr(CAST($2 AS INTEGER)))))
from_hex(varbinary) -> varbinary
    trino_from_hex(trino_from_utf8($1))
from_base64(varbinary) -> varbinary                 trino_from_base64(decode($1), '+/')
from_base64url(varbinary) -> varbinary              trino_from_base64(decode($1), '-_')
from_base32(varbinary) -> varbinary                 trino_from_base32(rtrim(decode($1), '='))
hmac_md5(varbinary, varbinary) -> varbinary         trino_hmac_md5($1, $2)
hmac_sha1(varbinary, varbinary) -> varbinary        trino_hmac_sha1($1, $2)
hmac_sha256(varbinary, varbinary) -> varbinary      trino_hmac_sha256($1, $2)
hmac_sha512(varbinary, varbinary) -> varbinary      trino_hmac_sha512($1, $2)
crc32(varbinary) -> bigint                          trino_crc32($1)
"""
