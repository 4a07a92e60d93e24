{{ config(materialized="view") }}
select id, customer, amount, cast(at as date) as day
from {{ source("shop", "orders") }}
